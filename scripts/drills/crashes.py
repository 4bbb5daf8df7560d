"""The crash matrix: kill -9 of every part of the delivery, at every moment of it, and what is left of the promise.

A fresh stack is started for it. Each round commits a few trends, waits until one of their deliveries is at the moment
that the round is about (a lock that a backend waits for, or a gate between two parts), kills, lets go, starts again
what a supervisor would start, and waits until everything has arrived. The waits of the product (lease, retries, sweep)
are shortened to seconds; nothing else of it is changed. The exit code is 1 when something was lost, was done twice,
was stuck longer than a lease and a sweep, was told though it was rolled back, or when a moment was not reached.

--without plants a fault, and the drill has to turn red: `receipts` lets the handler forget what it has taken, `sweep`
switches the sweep off, `lease` lets a claim never end.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from itertools import islice, product

import psycopg
from rich.console import Console
from rich.table import Table

from .crashes_gates import ANSWERED, ARRIVED, Hold, LockHold, held
from .crashes_stack import PORT_BASE, SWEEP_SECONDS, CrashStack, crash_stack

GRACE = 5.0  # seconds for what is no wait: starting a function, posting, pg_net's pause of a second
REACH_SECONDS = 25.0
LAST_WAIT = 30.0  # seconds more until what is still missing is lost
NEWS = 3  # new trends of one round; one more rises through 0.8

IN_CLAIM, IN_HANDLER, IN_RECORD, IN_SWEEP = 1, 2, 3, 4  # locks of crashes.sql
BEFORE_COMMIT, SWEEP = "before commit", "in the sweep"
Arm = Callable[[CrashStack], Hold]
MOMENTS: dict[str, Arm | None] = {
    BEFORE_COMMIT: None,  # the drill's own transaction is the one that is open
    "after commit, before claim": lambda own: LockHold(own.stack, IN_CLAIM),
    "after claim, before send": lambda own: own.to_handler.arm(ARRIVED),
    "sent, before handler commit": lambda own: LockHold(own.stack, IN_HANDLER),
    "handler committed, before response": lambda own: own.to_room.arm(ANSWERED),
    "response, before record": lambda own: own.to_handler.arm(ANSWERED),
    "during record": lambda own: LockHold(own.stack, IN_RECORD),
    SWEEP: lambda own: LockHold(own.stack, IN_SWEEP),
}
OF_POSTGRES = ("postgres", "backend")
VICTIMS = (*OF_POSTGRES, "edge function", "net-worker", "handler")
CONTROLS = ("receipts", "sweep", "lease")

INSERT = "insert into public.trending_keywords (keyword, trend_score) values (%s, %s)"
RISE = "update public.trending_keywords set trend_score = 0.95 where keyword = %s"
LOSE_WAKES = "delete from net.http_request_queue"  # pg_net forgets them in a crash, too
FOLLOWER = "f0110000-0000-4000-8000-000000000000"
FOLLOW = "update public.user_profiles set preferred_keywords = %s where user_id = %s"
FOLLOWED_ROUNDS = 3  # an event that comes later than that was stuck anyway
MISSING = """
    select count(*)
    from ops.outbox as event
    left join ops.webhook_deliveries as delivery on event.id = delivery.outbox_id
    where
        event.event_type like 'trend.%%'
        and (
            delivery.state is distinct from 'delivered'
            or not exists (select from drill.effects as effect where effect.webhook_id = delivery.webhook_id)
        )
"""
# Committed keywords that lack an event or its effect: a detection, an update, one notification of the follower.
UNTOLD = """
    select count(*)
    from unnest(%s::text[]) as committed (keyword)
    where
        2 <> (
            select count(distinct event.event_type)
            from ops.outbox as event
            inner join ops.webhook_deliveries as delivery on event.id = delivery.outbox_id
            inner join drill.effects as effect on delivery.webhook_id = effect.webhook_id
            where
                event.event_type in ('trend.detected', 'trend.updated')
                and event.data ->> 'keyword' = committed.keyword
        )
        or 1 <> (select count(*) from public.notifications as told where told.keyword = committed.keyword)
"""
TWICE = "select count(*) from (select from drill.effects group by webhook_id having count(*) > 1) as twice"
PHANTOMS = "select count(*) from drill.effects as effect where effect.keyword <> all(%s)"


@dataclass
class Cell:
    """One part killed at one moment: how often, and the longest wait in seconds until all had arrived."""

    victim: str
    moment: str
    kills: int = 0
    not_reached: int = 0
    stuck: int = 0
    slowest_s: float = 0.0


@dataclass
class Outcome:
    """What a run came to; durations in seconds."""

    kills: int
    processes_killed: int
    events: int
    lost: int
    duplicate_effects: int
    stuck: int
    phantoms: int
    moments_not_reached: int
    duplicates_delivered: int
    longest_wait_s: float
    wait_limit_s: float
    seconds: float
    cells: list[Cell] = field(default_factory=list)

    @property
    def is_kept(self) -> bool:
        """Whether the promise of the outbox held."""
        broken = self.lost + self.duplicate_effects + self.stuck + self.phantoms + self.moments_not_reached
        return self.kills > 0 and broken == 0


class Drill:
    """Rounds on one stack; `committed` is the ledger that the database is held against."""

    def __init__(self, own: CrashStack, *, lease_seconds: float) -> None:
        self.own = own
        self.limit = lease_seconds + SWEEP_SECONDS + GRACE
        self.committed: list[str] = []
        self.killed = 0
        self.rounds = FOLLOWED_ROUNDS
        with own.connect() as connection:
            connection.execute("insert into auth.users (id, email) values (%s, 'follower@example.com')", (FOLLOWER,))

    def play(self, cell: Cell) -> None:
        """One kill, and the wait until the stack has recovered from it."""
        self.rounds += 1
        arm = MOMENTS[cell.moment]
        if arm is None:
            with self.writing(commits=False) as connection:
                self.kill(cell.victim, backend=connection.info.backend_pid)
                is_committed = commits(connection)
            self.own.heal()
            if is_committed:
                self.committed += self.keywords()
            else:
                self.rounds += 1  # other names: the lost ones must never be heard of
                self.write()
            is_reached = True
        else:
            hold = arm(self.own)
            self.write(is_woken=cell.moment != SWEEP)
            with held(hold, seconds=REACH_SECONDS, meanwhile=self.own.heal) as is_reached:
                backend = hold.waiting_backend() if isinstance(hold, LockHold) else None
                self.kill(cell.victim, backend=backend)
        self.own.heal()
        if cell.victim in OF_POSTGRES:
            self.own.restart_data_api()
        waited = self.settle(self.limit)
        cell.kills += 1
        cell.not_reached += not is_reached
        cell.stuck += waited is None
        cell.slowest_s = max(cell.slowest_s, self.limit if waited is None else waited)

    def judge(self, cells: list[Cell], *, seconds: float) -> Outcome:
        """Hold the database against the ledger, after one more event that only the sweep can bring."""
        self.rounds += 1
        self.write(is_woken=False)
        is_stuck = self.settle(self.limit) is None
        if is_stuck:
            self.settle(LAST_WAIT)
        return Outcome(
            kills=sum(cell.kills for cell in cells),
            processes_killed=self.killed,
            events=self.count("select count(*) from ops.outbox"),
            lost=self.count(MISSING) + self.count(UNTOLD, self.committed),
            duplicate_effects=self.count(TWICE),
            stuck=sum(cell.stuck for cell in cells) + is_stuck,
            phantoms=self.count(PHANTOMS, self.committed),
            moments_not_reached=sum(cell.not_reached for cell in cells),
            duplicates_delivered=sum(times - 1 for times in self.own.to_handler.seen.values()),
            longest_wait_s=max((cell.slowest_s for cell in cells), default=0.0),
            wait_limit_s=self.limit,
            seconds=seconds,
            cells=cells,
        )

    def keywords(self, round_: int | None = None) -> list[str]:
        return [f"drill {round_ or self.rounds} {number}" for number in range(NEWS + 1)]

    def followed(self) -> list[str]:
        """What one person follows: the effect of an event is a notification."""
        return [keyword for ago in range(FOLLOWED_ROUNDS) for keyword in self.keywords(self.rounds - ago)]

    def write(self, *, is_woken: bool = True) -> None:
        """Commit the trends of this round, tried again as a writer would while the database is away."""
        with self.writing(commits=True, is_woken=is_woken):
            pass
        self.committed += self.keywords()

    @contextmanager
    def writing(self, *, commits: bool, is_woken: bool = True) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
        """The trends of this round in an open transaction."""
        *news, risen = self.keywords()
        connection = self.own.connect()
        try:
            connection.execute(FOLLOW, (self.followed(), FOLLOWER))
            connection.autocommit = False
            for keyword in news:
                connection.execute(INSERT, (keyword, 0.9))
            connection.execute(INSERT, (risen, 0.5))
            connection.execute(RISE, (risen,))
            if not is_woken:
                connection.execute(LOSE_WAKES)
            yield connection
            if commits:
                connection.commit()
        finally:
            connection.close()

    def kill(self, victim: str, *, backend: int | None) -> None:
        own = self.own
        match victim:
            case "postgres":
                killed = own.kill_postgres()
            case "backend":
                killed = own.kill_backend(backend or own.api_backend())
            case "edge function":
                killed = own.kill_functions()
            case _:
                killed = own.kill_part(victim)
        if killed == 0:
            raise SystemExit(f"crashes: there was no {victim} to kill")
        self.killed += killed

    def settle(self, seconds: float) -> float | None:
        """Seconds until every event was delivered and had its effect; none when that took longer than `seconds`."""
        began = time.monotonic()
        while (waited := time.monotonic() - began) < seconds:
            self.own.heal()  # what depends on a killed part may end later than it
            with suppress(psycopg.OperationalError):
                if self.count(MISSING) == 0:
                    return waited
            time.sleep(0.05)
        return None

    def count(self, question: str, *arguments: object) -> int:
        with self.own.connect() as connection:
            row = connection.execute(question.encode(), arguments).fetchone()
        assert row is not None
        return int(str(row[0]))


def commits(connection: psycopg.Connection[tuple[object, ...]]) -> bool:
    try:
        connection.commit()
    except psycopg.OperationalError:
        return False
    return True


def run(
    kills: int, *, port_base: int, lease_seconds: float, without: str | None, say: Callable[[str], None]
) -> Outcome:
    """Kill so often, every cell of the matrix in turn, then count."""
    began = time.monotonic()
    cells = {(victim, moment): Cell(victim, moment) for moment, victim in product(MOMENTS, VICTIMS)}
    with crash_stack(port_base=port_base, lease_seconds=lease_seconds) as own:
        drill = Drill(own, lease_seconds=lease_seconds)
        drill.write()  # everything runs once before anything is killed
        if drill.settle(REACH_SECONDS) is None:
            raise SystemExit(f"crashes: nothing is delivered before the first kill; read {own.stack.logs}")
        own.plant_fault(without)
        for number, (victim, moment) in enumerate(islice(in_turn(), kills), start=1):
            cell = cells[victim, moment]
            drill.play(cell)
            say(f"{number}/{kills} {victim}, {moment}: longest wait {cell.slowest_s:.1f} s, stuck {cell.stuck}")
        return drill.judge([cell for cell in cells.values() if cell.kills], seconds=time.monotonic() - began)


def in_turn() -> Iterator[tuple[str, str]]:
    """Cells for ever, in an order in which few kills already see every victim and every moment."""
    moments = list(MOMENTS)
    while True:
        for offset in range(len(moments)):
            for number, victim in enumerate(VICTIMS):
                yield victim, moments[(offset * 5 + number) % len(moments)]


def report(outcome: Outcome, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({**asdict(outcome), "is_kept": outcome.is_kept}))
        return
    table = Table("killed", "moment", "kills", "longest wait, s", "stuck", "not reached", box=None)
    for cell in outcome.cells:
        table.add_row(
            cell.victim, cell.moment, str(cell.kills), f"{cell.slowest_s:.1f}", str(cell.stuck), str(cell.not_reached)
        )
    console = Console()
    console.print(table)
    console.print(
        f"{outcome.kills} kills ({outcome.processes_killed} processes) over {outcome.events} events"
        f" in {outcome.seconds:.0f} s: lost {outcome.lost}, duplicate effects {outcome.duplicate_effects},"
        f" stuck {outcome.stuck}, told though rolled back {outcome.phantoms},"
        f" moments not reached {outcome.moments_not_reached}.\n"
        f"Duplicates delivered (and recognised): {outcome.duplicates_delivered}."
        f" Longest wait {outcome.longest_wait_s:.1f} s of {outcome.wait_limit_s:.0f} s.",
        highlight=False,
    )


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="crashes", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--kills", type=int, default=200, help="how often something is killed (default: %(default)s)")
    parser.add_argument("--lease", type=float, default=3.0, help="seconds of a lease (default: %(default)s)")
    parser.add_argument("--without", choices=CONTROLS, help="plant a fault: the drill has to turn red")
    parser.add_argument("--port-base", type=int, default=PORT_BASE, help="first port of the stack")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(1))  # the stack ends with us
    outcome = run(
        options.kills,
        port_base=options.port_base,
        lease_seconds=options.lease,
        without=options.without,
        say=lambda line: print(line, file=sys.stderr, flush=True),
    )
    report(outcome, as_json=options.json)
    return 0 if outcome.is_kept else 1


if __name__ == "__main__":
    sys.exit(main())
