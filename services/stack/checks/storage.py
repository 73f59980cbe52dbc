"""Redis and MongoDB: do they answer, and do they keep what they acknowledge?"""

from __future__ import annotations

from collections.abc import Iterator

from tickrouter.bus.connection import connect as connect_redis
from tickrouter.bus.inspect import ServerFacts
from tickrouter.bus.inspect import server_facts as redis_facts
from tickrouter.config import Config
from tickrouter.errors import StorageError
from tickrouter.history.connection import connect as connect_mongo
from tickrouter.history.inspect import MongoFacts
from tickrouter.history.inspect import server_facts as mongo_facts

from .finding import Finding, where

TIMEOUT = 3.0
_HIDDEN = "the server hides its configuration"


def check_storage(config: Config) -> Iterator[Finding]:
    """Both Redis servers, then MongoDB."""
    yield from _redis("Redis (market)", config.redis_url, "REDIS_URL", orders=False)
    yield from _redis("Redis (orders)", config.orders_redis_url, "ORDERS_REDIS_URL", orders=True)
    yield from _mongo(config.mongo_url)


def _redis(part: str, url: str, variable: str, *, orders: bool) -> Iterator[Finding]:
    try:
        with connect_redis(url, timeout=TIMEOUT) as redis:
            facts = redis_facts(redis)
    except (StorageError, ValueError) as error:
        advice = f"start it, or name another: servers in tickrouter.yaml, or {variable}"
        yield Finding(part, "wrong", f"{where(url)}: {error}", advice)
        return
    yield Finding(part, "ok", f"{where(url)} answers, version {facts.version}")
    yield persistence(part, facts, orders=orders)
    yield eviction(part, facts)


def persistence(part: str, facts: ServerFacts, *, orders: bool) -> Finding:
    """Does an acknowledged write outlive the server? For orders it must, for market data a second may be lost,
    which the recorder fills again."""
    part = f"{part}: persistence"
    if facts.appendonly is None or (facts.appendonly and facts.appendfsync is None):
        advice = "make sure that it has appendonly yes" + (" and appendfsync always" if orders else "")
        return Finding(part, "note", _HIDDEN, advice)
    found = f"appendonly {'yes' if facts.appendonly else 'no'}, appendfsync {facts.appendfsync}"
    if orders and not (facts.appendonly and facts.appendfsync == "always"):
        advice = "CONFIG SET appendonly yes; CONFIG SET appendfsync always; and the same in its redis.conf"
        return Finding(part, "wrong", found, advice)
    if not facts.appendonly:
        advice = "CONFIG SET appendonly yes: after a crash its streams begin empty"
        return Finding(part, "note", found, advice)
    return Finding(part, "ok", found)


def eviction(part: str, facts: ServerFacts) -> Finding:
    """A server that evicts loses keys without a record of it."""
    part = f"{part}: eviction"
    if facts.eviction is None:
        return Finding(part, "note", _HIDDEN, "make sure that its maxmemory-policy is noeviction")
    if facts.eviction != "noeviction":
        advice = "CONFIG SET maxmemory-policy noeviction: keys would vanish without a record"
        return Finding(part, "wrong", facts.eviction, advice)
    return Finding(part, "ok", "noeviction")


def _mongo(url: str) -> Iterator[Finding]:
    try:
        with connect_mongo(url, timeout=TIMEOUT) as client:
            facts = mongo_facts(client)
    except (StorageError, ValueError) as error:
        advice = "start it, or name another: servers in tickrouter.yaml, or MONGO_URL"
        yield Finding("MongoDB", "wrong", f"{where(url)}: {error}", advice)
        return
    yield Finding("MongoDB", "ok", f"{where(url)} answers, version {facts.version}")
    yield durability(facts)


def durability(facts: MongoFacts) -> Finding:
    """Writes use w: majority and j: true; a server without replica set has no majority to speak of."""
    part = "MongoDB: write concern"
    if not facts.is_durable:
        advice = "run it as a replica set, of one node at least: mongod --replSet rs0, then rs.initiate()"
        return Finding(part, "wrong", "a single server without replica set", advice)
    kind = "sharded cluster" if facts.sharded else f"replica set {facts.replica_set} of {facts.members}"
    if not facts.writable:
        return Finding(part, "wrong", f"{kind}, but this node takes no writes", "name the set: ?replicaSet=<name>")
    return Finding(part, "ok", f"{kind}; writes wait for w: majority, j: true")
