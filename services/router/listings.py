"""The venue's listings of a contract, read whole."""

from __future__ import annotations

from tickrouter.core.facts import VenueFill, VenueOrder
from tickrouter.core.recovery import SECOND
from tickrouter.errors import AmbiguousError
from tickrouter.model.contract import Contract

from .venue_link import VenueLink

NARROWEST = 2 * SECOND
"""Shortest time slice: a page that is full for less is no answer."""


class Listings:
    """Open orders, all orders and executions."""

    def __init__(self, venue: VenueLink) -> None:
        self._venue = venue

    def open_orders(self, contract: Contract) -> tuple[VenueOrder, ...]:
        """Orders that are open now.

        Raises:
            DefiniteError, AmbiguousError, Stopped: see `VenueLink.ask`.
        """
        adapter = self._venue.adapter
        return self._venue.ask(lambda stamp: adapter.open_orders(contract, stamp), adapter.read_orders)

    def orders(self, contract: Contract, since: int, until: int) -> tuple[VenueOrder, ...]:
        """Orders made in a time slice, ns, cut in halves while a page comes back full.

        Raises:
            AmbiguousError: no full answer: also where the narrowest slice fills a page.
            DefiniteError, Stopped: see `VenueLink.ask`.
        """
        adapter = self._venue.adapter
        rows = self._venue.ask(lambda stamp: adapter.all_orders(contract, since, until, stamp), adapter.read_orders)
        if len(rows) < adapter.page:
            return rows
        if until - since <= NARROWEST:
            raise AmbiguousError(contract.venue, "unreadable", f"a page of {len(rows)} orders is full for one second")
        middle = (since + until) // 2
        return self.orders(contract, since, middle) + self.orders(contract, middle, until)

    def executions(self, contract: Contract, since: int, until: int) -> tuple[VenueFill, ...]:
        """Executions of a time slice, ns.

        Raises:
            DefiniteError, AmbiguousError, Stopped: see `VenueLink.ask`.
        """
        adapter = self._venue.adapter
        return self._venue.ask(lambda stamp: adapter.executions(contract, since, until, stamp), adapter.read_executions)
