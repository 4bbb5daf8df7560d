"""How fast signed webhooks are delivered: our whole path beside pg_net alone, procrastinate and pgqueuer.

A fresh stack is started for it; all four use its one Postgres, sign the same body and post it to the same receiver,
which believes signatures only. Each puts its events into its queue first; the rate is counted at the receiver, from
the first event to the last, so that starting a worker is nobody's time. They take turns, in an order that rotates.
Then each has events one at a time, committed alone, for the time from commit to the receiver; and ours has a backlog,
whose drain is told by tenths.

Ours is what is shipped: outbox, wake-up through pg_net, the edge function with one process, its guard, every attempt
on record. pg_net is its stand-in of this repository (200 requests a batch and a pause of a second, as the real one
has it); alone it never tries again and forgets its queue in a crash. The peers run one process each, with at least as
many posts at once as ours and with what their documentation has for speed: procrastinate ten workers, as each takes one
job at a time out of its queue, pgqueuer a pool of connections and batches of 200. Their packages are installed into
.local/bench-delivery, pinned in delivery_peers.txt.
"""

from __future__ import annotations

import argparse
import json
import secrets
import signal
import statistics
import subprocess
import sys
import time
import venv
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psycopg
from rich.console import Console
from rich.table import Table

from scripts.local_stack import supervisor
from scripts.local_stack.settings import REPOSITORY, Stack

PORT_BASE = 21320
CONCURRENCY = 50  # posts at once, ours too
PACED = 200  # events whose way is timed
PACE_SECONDS = 0.05
STALL_SECONDS = 90.0
SYSTEMS = ("ondol", "pg_net alone", "procrastinate", "pgqueuer")
PEERS = ("procrastinate", "pgqueuer")
HERE = Path(__file__).parent
ENVIRONMENT = REPOSITORY / ".local" / "bench-delivery"

ENQUEUE = """
    select ops.enqueue(
        'trend.detected',
        jsonb_agg(jsonb_build_object('dedupe_key', event.name, 'data', jsonb_build_object('event', event.name)))
    )
    from (
        select %(prefix)s || n as name
        from generate_series(%(first)s::integer, %(last)s::integer) as n
    ) as event
"""
POST = """
    select count(net.http_post(
        url => %(url)s,
        body => event.body,
        headers => jsonb_build_object(
            'content-type', 'application/json',
            'webhook-id', event.id,
            'webhook-timestamp', event.sent_at,
            'webhook-signature', 'v1,' || encode(
                extensions.hmac(
                    convert_to(event.id || '.' || event.sent_at || '.' || event.body::text, 'utf8'),
                    decode(substr(%(secret)s, 7), 'base64'),
                    'sha256'
                ),
                'base64'
            )
        )
    ))
    from (
        select
            'msg_' || replace(gen_random_uuid()::text, '-', '') as id,
            floor(extract(epoch from clock_timestamp()))::bigint::text as sent_at,
            jsonb_build_object(
                'type', 'trend.detected',
                'timestamp', '2026-01-01T00:00:00.000Z',
                'data', jsonb_build_object('event', %(prefix)s || n)
            ) as body
        from generate_series(%(first)s::integer, %(last)s::integer) as n
    ) as event
"""


@dataclass
class System:
    """One way of delivery: events a second of each turn, and milliseconds from commit to the receiver."""

    name: str
    rates: list[float] = field(default_factory=list)
    p50_ms: float = 0.0
    p99_ms: float = 0.0

    @property
    def rate(self) -> float:
        return statistics.median(self.rates)


@dataclass(frozen=True)
class Backlog:
    """The drain of many events: events a second of each tenth of them, in the order of arrival."""

    events: int
    tenths: list[float]

    @property
    def flatness(self) -> float:
        """The slowest tenth beside the fastest; 1 is flat."""
        return min(self.tenths) / max(self.tenths)


class Bench:
    """One stack, one receiver."""

    def __init__(self, stack: Stack, receiver: str, secret: str) -> None:
        self.stack, self.receiver, self.secret = stack, receiver, secret
        self.queues = {peer: f"bench_{peer}" for peer in PEERS}

    def prepare(self, peers: tuple[str, ...]) -> None:
        """Nothing but our sweep and the bench is at work; each peer has a database of its own."""
        with self.connect() as connection:
            connection.execute("update cron.job set active = (jobname = 'floor-sweep-outbox')")
            connection.execute("delete from public.webhook_endpoints")
            connection.execute(
                "select public.register_webhook_endpoint(%s, %s, '{trend.detected}', allow_private => true)",
                (self.receiver, self.secret),
            )
            for peer in peers:
                connection.execute(f"create database {self.queues[peer]}".encode())
        for peer in peers:
            self.peer(peer, "install")

    def turn(self, name: str, prefix: str, count: int) -> list[float]:
        """Deliver so many events; when each arrived, in order, in Unix seconds."""
        self.ask("DELETE")
        if name in PEERS:
            self.peer(name, "enqueue", prefix, str(count))
        else:
            self.enqueue(name, prefix, 0, count - 1)
        # What autovacuum does a minute later: without it each peer looks for its jobs through the whole queue.
        with self.connect(self.queues.get(name, "postgres")) as connection:
            connection.execute("analyze")
        with self.working(name):
            return self.arrivals(count)

    def paced(self, name: str, prefix: str, count: int) -> list[float]:
        """Milliseconds from the commit of each event, of which each has a transaction, to the receiver."""
        self.ask("DELETE")
        with self.working(name):
            time.sleep(2)  # everybody listens
            committed: dict[str, float] = {}
            if name in PEERS:
                committed = json.loads(self.peer(name, "pace", prefix, str(count), str(PACE_SECONDS)))
            else:
                for number in range(count):
                    time.sleep(PACE_SECONDS)
                    self.enqueue(name, prefix, number, number)
                    committed[f"{prefix}{number}"] = time.time()
            self.arrivals(count)
        arrived = self.ask("GET", "?all")["at"]
        return [max(0.0, arrived[event] - at) * 1000 for event, at in committed.items()]

    def enqueue(self, name: str, prefix: str, first: int, last: int) -> None:
        question = ENQUEUE if name == "ondol" else POST
        named = {"prefix": prefix, "first": first, "last": last, "url": self.receiver, "secret": self.secret}
        with self.connect() as connection:
            connection.execute(question.encode(), named)

    def arrivals(self, count: int) -> list[float]:
        """Wait for so many events; they must all be genuine, and go on arriving."""
        received, moved = 0, time.monotonic()
        while received < count:
            time.sleep(0.2)
            told = self.ask("GET")
            if told["bad"]:
                raise SystemExit(f"bench: the receiver refused {told['bad']} signatures")
            if told["received"] > received:
                received, moved = told["received"], time.monotonic()
            elif time.monotonic() - moved > STALL_SECONDS:
                raise SystemExit(f"bench: {received} of {count} events arrived, and no more for {STALL_SECONDS:.0f} s")
        return sorted(self.ask("GET", "?all")["at"].values())

    def ask(self, method: str, query: str = "") -> Any:
        """What the receiver says of the events that it has."""
        return httpx.request(method, f"{self.receiver}seen{query}", timeout=30, trust_env=False).json()

    @contextmanager
    def working(self, name: str) -> Iterator[None]:
        """A worker of the peer; ours and pg_net's run all the time."""
        if name not in PEERS:
            yield
            return
        command = [*self.command(name, "work"), self.receiver, self.secret, str(CONCURRENCY)]
        with (self.stack.logs / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            yield
        finally:
            process.kill()
            process.wait()

    def peer(self, name: str, step: str, *arguments: str) -> str:
        done = subprocess.run([*self.command(name, step), *arguments], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise SystemExit(f"bench: {name} {step}: {done.stderr.strip()[-2000:]}")
        return done.stdout

    def command(self, name: str, step: str) -> list[str]:
        url = self.stack.database_url("supabase_admin", self.queues[name])
        return [str(ENVIRONMENT / "bin" / "python"), str(HERE / "delivery_peers.py"), name, step, url]

    def connect(self, database: str = "postgres") -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(self.stack.database_url("supabase_admin", database), autocommit=True)


def rate(arrivals: list[float]) -> float:
    """Events a second between the first and the last."""
    return (len(arrivals) - 1) / max(arrivals[-1] - arrivals[0], 1e-3)


def tenths(arrivals: list[float]) -> list[float]:
    edge = len(arrivals) // 10
    return [rate(arrivals[part * edge : (part + 1) * edge + 1]) for part in range(10)]


def percentile(times: list[float], share: float) -> float:
    return sorted(times)[min(len(times) - 1, int(share * len(times)))]


def measure(
    bench: Bench, systems: list[System], *, events: int, turns: int, say: Callable[[str], None]
) -> list[System]:
    """Fill in what each system does with its share of `events` a turn, then its latency."""
    for turn in range(turns):
        order = systems[turn % len(systems) :] + systems[: turn % len(systems)]
        for system in order:
            system.rates.append(rate(bench.turn(system.name, f"{system.name} {turn} ", events // turns)))
            say(f"turn {turn + 1}: {system.name} {system.rates[-1]:,.0f} events/s")
    for system in systems:
        times = bench.paced(system.name, f"{system.name} paced ", PACED)
        system.p50_ms, system.p99_ms = percentile(times, 0.5), percentile(times, 0.99)
        say(f"{system.name}: commit to receiver p50 {system.p50_ms:.0f} ms, p99 {system.p99_ms:.0f} ms")
    return systems


def install_peers() -> None:
    """A virtual environment of the bench's own; the product's lock knows nothing of it."""
    marker, wanted = ENVIRONMENT / "installed.txt", (HERE / "delivery_peers.txt").read_text(encoding="utf-8")
    if marker.exists() and marker.read_text(encoding="utf-8") == wanted:
        return
    venv.create(ENVIRONMENT, with_pip=True)
    pip = [
        str(ENVIRONMENT / "bin" / "python"),
        "-m",
        "pip",
        "install",
        "--quiet",
        "-r",
        str(HERE / "delivery_peers.txt"),
    ]
    subprocess.run(pip, check=True, stdout=sys.stderr)
    marker.write_text(wanted, encoding="utf-8")


@contextmanager
def receiving() -> Iterator[tuple[str, str]]:
    """The address and the secret of a receiver in a process of its own."""
    secret = "whsec_" + b64encode(secrets.token_bytes(32)).decode()
    command = [sys.executable, "-m", "scripts.bench.delivery_receiver", secret]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield f"http://127.0.0.1:{int(process.stdout.readline())}/", secret
        finally:
            process.kill()


@contextmanager
def opened(port_base: int, peers: tuple[str, ...]) -> Iterator[Bench]:
    """A fresh stack with a receiver, gone with its data when the block ends."""
    stack = Stack.create(f"bench-{port_base}", port_base=port_base)
    with supervisor.exclusive(stack):
        supervisor.reset(stack)
        try:
            supervisor.up(stack, lambda message: None)
            with receiving() as (url, secret):
                bench = Bench(stack, url, secret)
                bench.prepare(peers)
                yield bench
        finally:
            supervisor.reset(stack)


def report(systems: list[System], backlog: Backlog | None, *, as_json: bool) -> None:
    if as_json:
        told = {"systems": [{**asdict(system), "rate": system.rate} for system in systems]}
        whole = None if backlog is None else {**asdict(backlog), "flatness": backlog.flatness}
        print(json.dumps({**told, "backlog": whole}))
        return
    console = Console()
    table = Table("delivery", "events/s (median)", "turns", "commit to receiver p50, ms", "p99, ms", box=None)
    for system in systems:
        turns = " ".join(f"{each:,.0f}" for each in system.rates)
        table.add_row(system.name, f"{system.rate:,.0f}", turns, f"{system.p50_ms:,.0f}", f"{system.p99_ms:,.0f}")
    console.print(table)
    if backlog is not None:
        parts = " ".join(f"{each:,.0f}" for each in backlog.tenths)
        console.print(
            f"backlog of {backlog.events:,}, events/s by tenths: {parts}; slowest/fastest {backlog.flatness:.2f}"
        )


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="delivery", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=20_000, help="events of each system (default: %(default)s)")
    parser.add_argument("--turns", type=int, default=4, help="how often they take turns (default: %(default)s)")
    parser.add_argument("--backlog", type=int, default=100_000, help="0 for none (default: %(default)s)")
    parser.add_argument("--only", action="append", choices=SYSTEMS, help="measure this system; may be repeated")
    parser.add_argument("--port-base", type=int, default=PORT_BASE, help="first port of the stack")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(1))  # the stack ends with us
    systems = [System(name) for name in SYSTEMS if name in (options.only or SYSTEMS)]
    peers = tuple(peer for peer in PEERS if peer in {system.name for system in systems})
    if peers:
        install_peers()
    backlog = None
    with opened(options.port_base, peers) as bench:
        measure(bench, systems, events=options.events, turns=options.turns, say=say)
        if options.backlog:
            arrivals = bench.turn("ondol", "backlog ", options.backlog)
            backlog = Backlog(options.backlog, tenths(arrivals))
    report(systems, backlog, as_json=options.json)
    return 0


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
