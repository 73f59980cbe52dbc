"""Alarms: an event says it, the log and a counter too, and whoever listens at `alarm_url`."""

from __future__ import annotations

import json
import queue
import threading
from contextlib import suppress
from urllib.parse import urlsplit

from tickrouter import logs
from tickrouter.errors import VenueError
from tickrouter.model.event import Event
from tickrouter.transport.http import HttpClient
from tickrouter.venues.request import Request

WAITING = 1000
"""Alarms that may wait for an address that does not answer."""


class Alarms:
    """Says alarms where people look. A listener that does not answer delays nobody."""

    def __init__(self, url: str | None) -> None:
        self._url = url
        self._waiting: queue.Queue[Event] = queue.Queue(WAITING)
        self._log = logs.get("alarms")
        self.count = 0
        if url:
            threading.Thread(target=self._post_all, name="alarms", daemon=True).start()

    def say(self, event: Event) -> None:
        """Tell of an event with an alarm; others are passed over."""
        if event.alarm is None:
            return
        self.count += 1
        reason = event.reason.text if event.reason else ""
        self._log.error("alarm", kind=event.alarm, account=str(event.account), order=event.client_oid, reason=reason)
        if self._url:
            with suppress(queue.Full):
                self._waiting.put_nowait(event)

    def _post_all(self) -> None:
        url = self._url or ""
        client = HttpClient("alarm_url", timeout=5.0, connections=1)
        while True:
            event = self._waiting.get()
            body = json.dumps(event.to_wire() | {"alarm": event.alarm}, default=str).encode()
            request = Request("POST", url, f"POST {urlsplit(url).path}", {"Content-Type": "application/json"}, body)
            try:
                client.send(request)
            except VenueError as error:
                self._log.warning("alarm not posted", kind=event.alarm, error=str(error))
