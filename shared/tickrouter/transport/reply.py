"""One HTTP answer, parsed as its bytes come."""

from __future__ import annotations

import httptools


class Reply:
    """Takes an answer's bytes until it is whole. Interim answers (1xx) are passed over."""

    def __init__(self, most: int) -> None:
        """`most` is the largest body that is taken, in bytes."""
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        """By name in lower case."""
        self.is_whole = False
        self.keeps_alive = False
        self._most = most
        self._size = 0
        self._body: list[bytes] = []
        self._parser = httptools.HttpResponseParser(self)

    @property
    def body(self) -> bytes:
        """What came of the body so far."""
        return self._body[0] if len(self._body) == 1 else b"".join(self._body)

    def feed(self, data: bytes) -> None:
        """Take more bytes.

        Raises:
            ValueError: this is no HTTP, or the body is too long.
        """
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            if not self.is_whole:
                raise ValueError(f"{type(error).__name__}: {error}") from error
            self.keeps_alive = False
        if self._size > self._most:
            raise ValueError(f"a body of more than {self._most} bytes")

    def ended(self) -> bool:
        """The connection was closed; True if that ends the answer: it named no length."""
        names = (b"content-length", b"transfer-encoding")
        self.is_whole = self.is_whole or (self.status >= 200 and not any(name in self.headers for name in names))
        self.keeps_alive = False
        return self.is_whole

    # --- called by the parser; what comes behind a whole answer is none of ours, and the connection is done with

    def on_message_begin(self) -> None:
        self.keeps_alive = False
        if not self.is_whole:
            self.headers = {}

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.is_whole:
            self.headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        if not self.is_whole:
            self.status = self._parser.get_status_code()

    def on_body(self, body: bytes) -> None:
        if not self.is_whole:
            self._size += len(body)
            self._body.append(body)

    def on_message_complete(self) -> None:
        if not self.is_whole and self.status >= 200:
            self.is_whole = True
            self.keeps_alive = self._parser.should_keep_alive()
