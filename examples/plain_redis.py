"""An order and its events with nothing but a Redis client and msgpack: docs/wire.md states the forms."""

import os
import time
import uuid

import msgpack
import redis

account = os.environ.get("TICKROUTER_ACCOUNT", "btcturk/main")
url = os.environ.get("ORDERS_REDIS_URL") or os.environ.get("REDIS_URL") or "redis://127.0.0.1:6379/0"
r = redis.Redis.from_url(url)
oid = uuid.uuid4().hex
order = {"id": f"demo-{oid}", "action": "place", "account": account, "contract": "btcturk/btc.usdt"}
order |= {"side": "b", "type": "market", "quote_amount": "50", "client_oid": oid}
last = (r.xrevrange(f"events:{{{account}}}", count=1) or [(b"0-0", {})])[0][0]
r.xadd(f"orders:{{{account}}}", {"d": msgpack.packb(order)})
status, deadline = "", time.time() + 30
while status not in ("Filled", "Canceled", "Rejected", "Denied", "NeverPlaced") and time.time() < deadline:
    for _stream, entries in r.xread({f"events:{{{account}}}": last}, block=1000):
        for last, fields in entries:
            event = msgpack.unpackb(fields[b"d"])
            if event.get("client_oid") == oid:
                status = status if event.get("fills_pending") else event.get("status", "Denied")
                print(last.decode(), event["type"], status, event.get("fill") or event.get("reason") or "")
