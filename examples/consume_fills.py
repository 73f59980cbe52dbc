"""Every fill of an account, over restarts, with nothing but a Redis client and msgpack: docs/wire.md has the forms.

python examples/consume_fills.py [seconds of quiet after which it ends]
"""

import os
import sys
from pathlib import Path

import msgpack
import redis

account = os.environ.get("TICKROUTER_ACCOUNT", "btcturk/main")
url = os.environ.get("ORDERS_REDIS_URL") or os.environ.get("REDIS_URL") or "redis://127.0.0.1:6379/0"
saved = Path(os.environ.get("POSITION_FILE", "fills.position"))  # better: with your books, in one transaction
quiet_ms = int(float(sys.argv[1]) * 1000) if len(sys.argv) > 1 else 0
r = redis.Redis.from_url(url)
position = saved.read_text() if saved.exists() else "0-0"  # <epoch>-<fill seq> of the last fill that is booked
while answer := r.xread({f"fills:{{{account}}}": position}, block=quiet_ms):
    for entry_id, fields in answer[0][1]:
        number, (epoch, seq) = entry_id.decode(), map(int, position.split("-"))
        if number != ("1-1" if position == "0-0" else f"{epoch}-{seq + 1}"):
            # Trimmed behind MongoDB's copy, or Redis forgot and a new epoch began: MongoDB has what lies between.
            behind = f"$or: [{{epoch: {epoch}, seq: {{$gt: {seq}}}}}, {{epoch: {{$gt: {epoch}}}}}]"
            print(f"{position} is not followed by {number}; read MongoDB and save the last <epoch>-<seq> of")
            print(f"db.fills.find({{account: '{account}', {behind}}}).sort({{epoch: 1, seq: 1}})  // d: these bytes")
            sys.exit(3)
        event = msgpack.unpackb(fields[b"d"])
        fill = event["fill"]  # a later epoch may tell it again: its key is contract, exchange_oid and trade_id
        print(number, event["contract"], event.get("side"), fill["amount"], "at", fill["price"], fill["trade_id"])
        position = number
        saved.write_text(position)
