"""cryptofeed with its Redis stream backend, for the comparison; run by the peers' interpreter.

    python recorder_cryptofeed.py SOCKET_URL REDIS_PORT EXCHANGE BOOK_FILE [MONGO_PORT]

One of its own feeds, Binance's or Crypto.com's, with nothing replaced but the addresses: the socket, the list of
symbols, and the start of Binance's book, which it would fetch by HTTP (BOOK_FILE holds that answer). Books are written
whole, five levels a side, as our ticks are. With MONGO_PORT its MongoDB backend writes as well, database `cryptofeed`.
Speaks as `recorder_ours` does.
"""

import asyncio
import os
import sys
import threading
import time
from pathlib import Path

from cryptofeed import FeedHandler
from cryptofeed.backends.mongo import BookMongo, TickerMongo, TradeMongo
from cryptofeed.backends.redis import BookStream, TickerStream, TradeStream
from cryptofeed.connection import WebsocketEndpoint
from cryptofeed.defines import L2_BOOK, TICKER, TRADES
from cryptofeed.exchanges import Binance, CryptoDotCom
from cryptofeed.symbols import Symbols

LEVELS = 5
EXCHANGES = {"binance": (Binance, "BTCUSDT"), "cryptodotcom": (CryptoDotCom, "BTC_USDT")}


def local(exchange: type, socket_url: str, book: str) -> type:
    """The feed of an exchange at another address."""

    class _BookFile:
        async def read(self, _address: str) -> str:
            return book

        async def close(self) -> None:
            pass

    class Local(exchange):
        # It takes secure addresses only, so the plain one is put in behind its back.
        websocket_endpoints = (WebsocketEndpoint(socket_url.replace("ws://", "wss://")),)

        def __init__(self, **options):
            super().__init__(**options)
            self.http_conn = _BookFile()

        def connect(self):
            connections = super().connect()
            for connection, *_ in connections:
                connection.address = connection.address.replace("wss://", "ws://")
            return connections

    return Local


def main() -> None:
    """Record until the input ends."""
    socket_url, port, (exchange, symbol) = sys.argv[1], int(sys.argv[2]), EXCHANGES[sys.argv[3]]
    book = Path(sys.argv[4]).read_text()
    Symbols.set(exchange.id, {"BTC-USDT": symbol}, {"instrument_type": {"BTC-USDT": "spot"}, "tick_size": {}})
    callbacks = {
        TICKER: [TickerStream(port=port)],
        TRADES: [TradeStream(port=port)],
        L2_BOOK: [BookStream(port=port, snapshots_only=True)],
    }
    if len(sys.argv) > 5:
        mongo_port = int(sys.argv[5])
        callbacks[TICKER].append(TickerMongo("cryptofeed", port=mongo_port))
        callbacks[TRADES].append(TradeMongo("cryptofeed", port=mongo_port))
        callbacks[L2_BOOK].append(BookMongo("cryptofeed", port=mongo_port, snapshots_only=True))
    handler = FeedHandler(config={"log": {"disabled": True}, "uvloop": True})
    feed = local(exchange, socket_url, book)
    handler.add_feed(feed(symbols=["BTC-USDT"], channels=list(callbacks), callbacks=callbacks, max_depth=LEVELS))
    threading.Thread(target=answer, daemon=True).start()
    asyncio.set_event_loop(asyncio.new_event_loop())
    handler.run()


def answer() -> None:
    """Tell the CPU seconds used, a line for a line."""
    print("ready", flush=True)
    for _ in sys.stdin:
        print(time.process_time(), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
