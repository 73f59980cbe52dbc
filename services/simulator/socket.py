"""The socket: what clients may say, and what they are told (BTCTurk reference, sections 4.1 and 4.2)."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from . import frames
from .accounts import Accounts
from .clock import VenueClock
from .limits import Limits
from .problems import Problem, unauthorized
from .publisher import Publisher
from .session import Session
from .signatures import check_login

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Socket:
    """Serves WebSocket connections, at any path."""

    def __init__(
        self, publisher: Publisher, accounts: Accounts, limits: Limits, clock: VenueClock, buffer: int
    ) -> None:
        self._publisher = publisher
        self._accounts = accounts
        self._limits = limits
        self._clock = clock
        self._buffer = buffer

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection, from its handshake to its end."""
        refusal = self._limits.check("socket", "ip", scope["client"][0], self._clock.monotonic())
        await receive()
        if refusal is not None:
            await _refuse(refusal, send)
            return
        await send({"type": "websocket.accept"})

        async def send_text(frame: str) -> None:
            await send({"type": "websocket.send", "text": frame})

        session = Session(send_text, scope["state"]["transport"].abort, self._buffer)
        self._publisher.add(session)
        writer = asyncio.create_task(session.write())
        try:
            while (message := await receive())["type"] == "websocket.receive":
                if not self._answer(session, message.get("text") or message.get("bytes") or ""):
                    await send({"type": "websocket.close", "code": 1000})
                    break
        finally:
            self._publisher.remove(session)
            writer.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await writer

    def _answer(self, session: Session, text: str | bytes) -> bool:
        """Answer one message; False if the connection is to be closed."""
        read = _read(text)
        if read is None:
            session.put(frames.result("invalid message", ok=False))
            return True
        kind, body = read
        channel, event = str(body.get("channel", "")), str(body.get("event", ""))
        if kind == frames.JOIN and body.get("join"):
            self._publisher.join(session, channel, event)
        elif kind == frames.JOIN:
            self._publisher.leave(session, channel, event)
        elif kind == frames.RESEND and (channel, event) in session.topics:
            self._publisher.send_first(session, channel, event)
        elif kind == frames.LOGIN:
            self._login(session, body)
        return kind != frames.LOGOUT

    def _login(self, session: Session, body: dict[str, Any]) -> None:
        try:
            if session.account is not None:
                raise unauthorized("Invalid Request")
            account = check_login(body, self._accounts, self._clock.now_ms())
        except Problem as problem:
            session.put(frames.login_result(0, problem.message))
            return
        session.put(frames.login_result(account.id, None))
        self._publisher.login(session, account)


def _read(text: str | bytes) -> tuple[int, dict[str, Any]] | None:
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(message, list) or len(message) != 2:
        return None
    kind, body = message
    return (kind, body) if isinstance(kind, int) and isinstance(body, dict) else None


async def _refuse(problem: Problem, send: Send) -> None:
    headers = [(name.lower().encode(), value.encode()) for name, value in problem.headers]
    headers.append((b"content-type", b"application/json"))
    await send({"type": "websocket.http.response.start", "status": problem.status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": json.dumps(problem.body).encode()})
