"""What a trading program uses: ticks in, orders out, fills back.

from tickrouter import Client

with Client() as client:
    for tick in client.ticks("btcturk/btc.usdt", since="2026-08-01T12:00:00Z"):
        print(tick.time, tick.last, tick.bid1, tick.ask1)
"""

from __future__ import annotations

from tickrouter.client_market import MarketClient
from tickrouter.client_orders import OrdersClient


class Client(MarketClient, OrdersClient):
    """A trading program's end of tickrouter: the market half and the trading half under one name.

    Threads may share one. Nothing is connected before it is needed: a program that only places orders needs no
    MongoDB, one that only watches ticks needs no orders Redis.
    """
