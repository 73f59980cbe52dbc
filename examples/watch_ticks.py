"""Ticks of a contract: the last ten minutes from history, then live, as one tape.

python examples/watch_ticks.py [contract] [how many]
"""

import sys
from datetime import UTC, datetime, timedelta

from tickrouter import Client, Feed

contract = sys.argv[1] if len(sys.argv) > 1 else "btcturk/btc.usdt"
count = int(sys.argv[2]) if len(sys.argv) > 2 else 20

with Client() as client:
    since = datetime.now(UTC) - timedelta(minutes=10)
    for number, tick in enumerate(client.ticks(contract, since=since, block=30), start=1):
        if isinstance(tick, Feed):
            print("missing:", tick.cause)
        else:
            print(tick.time, "last", tick.last, "bid", tick.bid1, "ask", tick.ask1, "middle", tick.weighted_middle)
        if number == count:
            break
