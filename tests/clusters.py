"""Other people's servers on loopback: Sentinel, a cluster, a replica set of three; each with a primary to kill."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from pymongo import MongoClient
from pymongo.errors import PyMongoError
from redis import Redis
from redis.exceptions import RedisError

from services.stack.servers import Server, free_port, mongo_server, redis_server, valkey_binary
from tests.waiting import until

SERVICE = "market"
SLOTS = 16_384
PRIMARIES = 3
"""Of a cluster: a majority of them has to agree that one is gone."""
REPLICAS = 2
"""Of each primary: with one alone nothing would be copied any more once it leads."""
DOWN_MS = 1000
"""After which a silent primary counts as down."""


@dataclass
class Fleet:
    """Servers, by which address they are used, and which one leads now."""

    url: str
    servers: list[Server]

    def kill(self, port: int) -> None:
        """Kill -9 the one at a port."""
        next(server for server in self.servers if server.port == port).kill()

    def kill_primary(self, primary: Callable[[Fleet], int]) -> None:
        """Kill -9 the one that leads, by its port (0 while nobody does), and wait until another leads."""
        before = primary(self)
        self.kill(before)
        until(lambda: primary(self) not in (0, before), 60)


@contextmanager
def sentinels(folder: Path) -> Iterator[Fleet]:
    """A primary, two replicas, and three Sentinels."""
    with ExitStack() as stack:
        nodes = [_node(folder / f"node{number}") for number in range(1 + REPLICAS)]
        for node in nodes:
            node.start()
            stack.callback(node.stop)
        for node in nodes[1:]:
            Redis(port=node.port).replicaof("127.0.0.1", nodes[0].port)
        until(lambda: all(_is_in_step(node) for node in nodes[1:]), 20)
        watchers = [_sentinel(folder / f"sentinel{number}", nodes[0].port) for number in range(3)]
        for watcher in watchers:
            watcher.start()
            stack.callback(watcher.stop)
        until(lambda: all(_knows_all(watcher.port) for watcher in watchers), 30)
        hosts = ",".join(f"127.0.0.1:{watcher.port}" for watcher in watchers)
        yield Fleet(f"redis+sentinel://{hosts}/{SERVICE}/0", [*nodes, *watchers])


def sentinel_primary(fleet: Fleet) -> int:
    """Port of the node that leads, 0 unless all Sentinels name the same one and none takes it for dead."""
    told = [Redis(port=one.port).sentinel_master(SERVICE) for one in fleet.servers if one.name == "sentinel"]
    ports = {int(state["port"]) for state in told}
    is_well = not any(state["is_sdown"] or state["is_odown"] for state in told)
    return ports.pop() if len(ports) == 1 and is_well else 0


def _node(folder: Path) -> Server:
    """A server that may become anybody's replica; it sends its first copy at once."""
    server = redis_server(folder, appendfsync="always")
    server.command += ["--repl-diskless-sync-delay", "0"]
    return server


def _is_in_step(replica: Server) -> bool:
    """True once it has its primary's first copy: before that, what the primary acknowledges dies with it."""
    state = Redis(port=replica.port).info("replication")
    return bool(state["role"] == "slave" and state["master_link_status"] == "up")


def _sentinel(folder: Path, primary: int) -> Server:
    folder.mkdir(parents=True)
    port = free_port()
    (folder / "sentinel.conf").write_text(
        f"port {port}\nbind 127.0.0.1\ndir {folder}\n"
        f"sentinel monitor {SERVICE} 127.0.0.1 {primary} 2\n"
        f"sentinel down-after-milliseconds {SERVICE} {DOWN_MS}\n"
        f"sentinel failover-timeout {SERVICE} 4000\n"
    )
    command = [str(valkey_binary()), str(folder / "sentinel.conf"), "--sentinel"]
    return Server("sentinel", command, port, f"redis://127.0.0.1:{port}", folder / "server.log")


def _knows_all(port: int) -> bool:
    state = Redis(port=port).sentinel_master(SERVICE)
    return state["num-slaves"] == REPLICAS and state["num-other-sentinels"] == 2


@contextmanager
def cluster(folder: Path) -> Iterator[Fleet]:
    """Three primaries with two replicas each."""
    with ExitStack() as stack:
        nodes = [_node(folder / f"node{number}") for number in range(PRIMARIES * (1 + REPLICAS))]
        buses = [free_port() for _ in nodes]
        for node, bus in zip(nodes, buses, strict=True):
            node.command += ["--cluster-enabled", "yes", "--cluster-node-timeout", str(DOWN_MS)]
            node.command += ["--cluster-port", str(bus)]
            node.start()
            stack.callback(node.stop)
        asked = [Redis(port=node.port, decode_responses=True) for node in nodes]
        for number, one in enumerate(asked[:PRIMARIES]):
            first, last = SLOTS * number // PRIMARIES, SLOTS * (number + 1) // PRIMARIES - 1
            # Each with an epoch of its own: primaries of one epoch have to settle first who is the newer.
            one.execute_command("CLUSTER SET-CONFIG-EPOCH", number + 1)
            one.execute_command("CLUSTER ADDSLOTSRANGE", first, last)
        for node, bus in zip(nodes[1:], buses[1:], strict=True):
            asked[0].execute_command("CLUSTER MEET", "127.0.0.1", node.port, bus)
        until(lambda: all(int(one.cluster("INFO")["cluster_known_nodes"]) == len(nodes) for one in asked), 30)
        for number, one in enumerate(asked[PRIMARIES:]):
            name = asked[number % PRIMARIES].execute_command("CLUSTER MYID")
            until(lambda one=one, name=name: _follows(one, name), 30)
        until(lambda: all(one.cluster("INFO")["cluster_state"] == "ok" for one in asked), 30)
        until(lambda: all(_is_in_step(node) for node in nodes[PRIMARIES:]), 30)
        hosts = ",".join(f"127.0.0.1:{node.port}" for node in nodes)
        yield Fleet(f"redis+cluster://{hosts}", nodes)


def _follows(replica: Redis, primary: str) -> bool:
    try:
        return bool(replica.execute_command("CLUSTER REPLICATE", primary))
    except RedisError:
        return False


def cluster_primary(fleet: Fleet, key: str) -> int:
    """Port of the node that has a key."""
    alive = next(server for server in fleet.servers if server.is_running)
    asked = Redis(port=alive.port, decode_responses=True)
    slot = int(asked.execute_command("CLUSTER KEYSLOT", key))
    for first, last, primary, *_ in asked.execute_command("CLUSTER SLOTS"):
        if first <= slot <= last:
            return int(primary[1])
    raise AssertionError(f"no node has slot {slot}")


@contextmanager
def replica_set(folder: Path) -> Iterator[Fleet]:
    """Three members."""
    with ExitStack() as stack:
        members = [mongo_server(folder / f"member{number}") for number in range(3)]
        for member in members:
            member.start()
            # Nobody wants its data any more; kindly, a primary would look for a successor first.
            stack.callback(member.kill)
        hosts = [f"127.0.0.1:{member.port}" for member in members]
        with MongoClient(members[0].url) as client:
            listed = [{"_id": number, "host": host} for number, host in enumerate(hosts)]
            settings = {"electionTimeoutMillis": 2000}
            client.admin.command("replSetInitiate", {"_id": "tickrouter", "members": listed, "settings": settings})
        fleet = Fleet(f"mongodb://{','.join(hosts)}/?replicaSet=tickrouter", members)
        until(lambda: replica_set_primary(fleet), 60)
        until(lambda: _states(members[0]) == ["PRIMARY", "SECONDARY", "SECONDARY"], 60)
        yield fleet


def replica_set_primary(fleet: Fleet) -> int:
    """Port of the member that leads, 0 while there is none."""
    for server in fleet.servers:
        if server.is_running:
            try:
                with MongoClient(server.url, serverSelectionTimeoutMS=500) as client:
                    if client.admin.command("hello").get("isWritablePrimary"):
                        return server.port
            except PyMongoError:
                continue
    return 0


def _states(member: Server) -> list[str]:
    with MongoClient(member.url) as client:
        return sorted(one["stateStr"] for one in client.admin.command("replSetGetStatus")["members"])
