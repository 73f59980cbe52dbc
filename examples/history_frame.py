"""The last hour of a contract as a pandas frame.

python examples/history_frame.py [contract]
"""

import sys
from datetime import UTC, datetime, timedelta

from tickrouter import Client

contract = sys.argv[1] if len(sys.argv) > 1 else "btcturk/btc.usdt"
hour = datetime.now(UTC) - timedelta(hours=1)

with Client() as client:
    ticks = client.history(contract, hour).to_pandas()
    trades = client.history(contract, hour, kind="trades").to_pandas()

print(ticks.tail())
print("spread, mean:", (ticks["ask1"] - ticks["bid1"]).mean())
print("trades a minute:", trades["size"].resample("1min").count().mean() if len(trades) else 0)
