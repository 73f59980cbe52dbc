"""Orders through the client: a limit order that is cancelled, then a market order that fills.

python examples/place_order.py [contract]
"""

import sys

from tickrouter import Client

contract = sys.argv[1] if len(sys.argv) > 1 else "btcturk/btc.usdt"

with Client(account="btcturk/main") as client:
    tick = client.last_tick(contract)
    if tick is None or tick.bid1 is None:
        sys.exit(f"no tick of {contract} yet: is a collector running?")

    # Far below the market, so it rests. Money is text, int or Decimal, never float.
    oid = client.place(contract, "buy", amount="0.001", price=int(tick.bid1 * 0.9), tags={"why": "example"})
    client.cancel(oid)
    print("limit order:", client.wait(oid, timeout=30).status)

    # A BTCTurk market buy takes the quote amount, fee included.
    oid = client.place(contract, "buy", type="market", quote_amount="50")
    end = client.wait(oid, timeout=30)
    print("market order:", end.status, end.filled, "at", end.average_price, end.reason or "")

    for event in client.fills("0-0", block=1):
        if event.client_oid == oid and event.fill is not None:
            print("fill", event.fill_id, event.fill.amount, "at", event.fill.price, "fee", event.fill.fee)
    for currency, balance in client.balances().items():
        print(currency, balance.free, "free of", balance.total)
