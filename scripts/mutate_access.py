"""Harms access on a database, one harm at a time, and asks whether something notices.

./scripts/mutate-access                     on a database made from the migrations for this run
./scripts/mutate-access DATABASE_URL        on another database of this machine, as a superuser
./scripts/mutate-access --only public.users the harms whose name contains this

scripts/access_mutants.py says which harms. Each is made in a transaction that is undone, and judged twice:
by the lock (supabase/security.lock would differ), and by behaviour (docs/access.md would no longer be true: every
command is tried as every client; for realtime.messages, what clients reach is compared with before the harm).
A harm that behaviour does not notice on its own object is tried again on the others where it could be felt.
What a function does once it is called is not judged here; supabase/tests does.

Exit code 1: a harm that nothing notices or that cannot be made, or a database that differs before any harm.
"""

# ruff: noqa: S608  statements are what is tried

from __future__ import annotations

import argparse
import ipaddress
import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import psycopg
from psycopg import conninfo
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from scripts import access_mutants, schemas
from scripts.access_mutants import REALTIME, Mutant
from scripts.local_stack.errors import StackError
from scripts.lock_security import FACTS, LOCK, facts, section
from tests.floor.access_fixtures import IDENTITIES, PEOPLE
from tests.floor.access_table import DENIED, Attempt, Comparer, read_page, seeded_transaction

WIDTH_IN_A_PIPE = 120
# Harms of no one object: they are felt anywhere, and all is tried.
WHOLE = {"grant on a schema", "membership"}
Source = Callable[[psycopg.Connection[Any]], Sequence[Mutant]]


class AccessError(Exception):
    """What ends the command before a harm is made."""


@dataclass(frozen=True)
class Verdict:
    """What noticed one harm; `found` is the first thing that behaviour found, `tried` how much it tried."""

    kind: str
    name: str
    object: str
    change: str
    lock: bool
    behaviour: bool | None  # None: not asked
    found: str | None
    tried: int
    error: str | None

    @property
    def survived(self) -> bool:
        return self.error is not None or not (self.lock or self.behaviour)


class Judge:
    """Judges harms on one connection, whose transaction holds the seeded rows."""

    def __init__(self, connection: psycopg.Connection[Any], *, lock_only: bool) -> None:
        self.connection = connection
        self.lock_only = lock_only
        self.comparer = Comparer(connection, read_page())
        self.shared = shared(self.comparer)
        self.topics = topics(connection)
        self.sections = {name: section(connection, name) for name in FACTS}
        self.reached = [] if lock_only else self.reach()

    def require_unharmed(self, chosen: Sequence[Mutant]) -> None:
        """The lock, and what the chosen harms could be felt on, are as they should be."""
        if facts(self.connection) != LOCK.read_text(encoding="utf-8"):
            raise AccessError(
                f"{LOCK.name} is not what this database says; ./scripts/lock-security shows the difference"
            )
        everywhere = any(mutant.everywhere for mutant in chosen)
        only = None if everywhere else {mutant.object for mutant in chosen}
        if not self.lock_only and (problems := self.comparer.compare(only).problems):
            raise AccessError("docs/access.md is not what this database does:\n" + "\n".join(problems))

    def judge(self, mutant: Mutant) -> Verdict:
        lock, behaviour, found, tried, error = False, None, None, 0, None
        try:
            with self.connection.transaction(force_rollback=True):
                self.connection.execute(mutant.change.encode())
                lock = self.lock_differs(mutant)
                if not self.lock_only:
                    if mutant.opening:
                        self.connection.execute(mutant.opening.encode())
                    found, tried = self.behaviour(mutant)
                    behaviour = found is not None
        except psycopg.Error as failure:
            error = str(failure).splitlines()[0]
        return Verdict(mutant.kind, mutant.name, mutant.object, mutant.change, lock, behaviour, found, tried, error)

    def lock_differs(self, mutant: Mutant) -> bool:
        """Whether any section differs; the one where the harm should show is read first, and is mostly enough."""
        names = sorted(FACTS, key=lambda name: name != mutant.section)
        return any(section(self.connection, name) != self.sections[name] for name in names)

    def behaviour(self, mutant: Mutant) -> tuple[str | None, int]:
        """The first difference that clients would feel, and the number of attempts."""
        tried = 0
        if mutant.object == REALTIME:
            reached = self.reach()
            tried += len(reached)
            if differing := [now for was, now in zip(self.reached, reached, strict=True) if was != now]:
                return f"{REALTIME}: {differing[0]}", tried
        own = {mutant.object}
        stages: list[set[str] | None] = [own, self.shared] if mutant.everywhere else [own]
        for only in [None] if mutant.kind in WHOLE else stages:
            result = self.comparer.compare(only)
            tried += result.tried
            if only is own and not own <= result.objects | {REALTIME}:
                raise AccessError(f"{mutant.object} cannot be tried: tests/floor/access_table.py does not know it")
            if result.problems:
                return " ".join(result.problems[0].split("\n    true would be")[0].split()), tried
        return None, tried

    def reach(self) -> list[str]:
        """What each client reads, sends and changes under each topic of realtime.messages."""
        attempts = []
        for identity in IDENTITIES:
            for topic in self.topics:
                put = (
                    f"insert into {REALTIME} (topic, extension, private, event, payload)"
                    f" values ('{topic}', 'broadcast', true, 'access', '{{}}')"
                )
                know = f"select set_config('realtime.topic', '{topic}', true)"
                attempts += [
                    Attempt(f"select from {REALTIME} where topic = '{topic}'", identity, f"{put}; {know}"),
                    Attempt(
                        f"update {REALTIME} set event = 'changed' where topic = '{topic}'", identity, f"{put}; {know}"
                    ),
                    Attempt(put, identity, know),
                ]
        outcomes = self.comparer.attempt(attempts)
        return [f"{one.identity.name}: {one.statement}: {out}" for one, out in zip(attempts, outcomes, strict=True)]


def shared(comparer: Comparer) -> set[str]:
    """Where a harm of something else can be felt.

    Without a grant nothing is, whatever policies, views and functions do; the service, which no policy holds, feels on
    a table that it only reads nothing either, while writing runs triggers.
    """
    felt = {relation.name for relation in comparer.relations if relation.kind == "v"}
    for (name, command), cells in comparer.declared.cells.items():
        holders = {column for column, cell in cells.items() if cell.rows != DENIED}
        if command != "run" and holders - (set() if command in ("insert", "update", "delete") else {"service"}):
            felt.add(name)
    return felt


def topics(connection: psycopg.Connection[Any]) -> list[str]:
    """Those that policies speak of, by themselves and with each person's id behind, and one that none speaks of."""
    said = connection.execute(
        "select concat(pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid))"
        " from pg_catalog.pg_policy where polrelid = %s::regclass",
        (REALTIME,),
    ).fetchall()
    literals = {literal for (text,) in said for literal in re.findall(r"'([^']*)'::text", text)}
    return sorted(literals | {literal + person for literal in literals for person in PEOPLE} | {"access"})


def require_loopback(database_url: str) -> None:
    """A harm is undone, and still has no place on a database that others use."""
    try:
        said = conninfo.conninfo_to_dict(database_url)
    except psycopg.ProgrammingError as error:
        raise AccessError(f"no database address: {error}") from None
    # A service or an unnamed host could be anywhere; every host of a list could be the one.
    hosts = [host for key in ("host", "hostaddr") for host in str(said.get(key) or "").split(",") if host]
    elsewhere = said.get("service") or os.environ.get("PGSERVICE") or os.environ.get("PGHOSTADDR")
    if not hosts or elsewhere or not all(is_loopback(host) for host in hosts):
        raise AccessError("only a database of this machine is harmed: name 127.0.0.1, ::1 or localhost as its host")


def is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@contextmanager
def own_database() -> Iterator[str]:
    """A database made from the migrations for this run: a test stack's grows with the tests, and this with it."""
    with schemas.empty_databases("mutate-access") as (stack,):
        schemas.build_from_migrations(stack)
        url = stack.database_url("supabase_admin")
        with psycopg.connect(url, autocommit=True) as connection:
            # A job that writes meanwhile would be taken for a refusal.
            connection.execute("alter system set cron.launch_active_jobs = off")
            connection.execute("select pg_reload_conf()")
        yield url


def run(
    database_url: str,
    *,
    only: str = "",
    lock_only: bool = False,
    source: Source = access_mutants.mutants,
    each: Callable[[int, int], None] = lambda done, total: None,
) -> list[Verdict]:
    """Judge every harm whose name contains `only`."""
    require_loopback(database_url)
    with seeded_transaction(database_url) as connection:
        judge = Judge(connection, lock_only=lock_only)
        chosen = [mutant for mutant in source(connection) if only in mutant.name]
        if not chosen:
            raise AccessError(f"no harm's name contains {only!r}")
        judge.require_unharmed(chosen)
        verdicts = []
        for done, mutant in enumerate(chosen, start=1):
            verdicts.append(judge.judge(mutant))
            each(done, len(chosen))
        # Undone must mean undone, or later verdicts say nothing.
        judge.require_unharmed(chosen)
        return verdicts


@contextmanager
def progress() -> Iterator[Callable[[int, int], None]]:
    """A bar on a terminal, and nothing elsewhere."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("harms", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def report(verdicts: list[Verdict], seconds: float, console: Console) -> None:
    table = Table("harm", box=None)
    for title in ("made", "the lock notices", "behaviour notices", "same behaviour", "nothing notices"):
        table.add_column(title, justify="right")
    for kind in dict.fromkeys(verdict.kind for verdict in verdicts):
        table.add_row(kind, *counts([verdict for verdict in verdicts if verdict.kind == kind]))
    table.add_section()
    table.add_row("all", *counts(verdicts))
    if same := [verdict for verdict in verdicts if verdict.behaviour is False and not verdict.error]:
        console.print("Same behaviour: every command as every client, and no difference.", highlight=False)
        for verdict in same:
            say(console, f"  {verdict.name}: {verdict.tried} attempts")
        console.print()
    for verdict in verdicts:
        if verdict.survived:
            say(console, f"NOTHING NOTICES  {verdict.name}: {verdict.error or verdict.change}")
    console.print(table)
    console.print(f"{len(verdicts)} harms in {seconds:.0f} s", highlight=False)


def counts(verdicts: list[Verdict]) -> list[str]:
    asked = [verdict.behaviour for verdict in verdicts if verdict.behaviour is not None]
    return [
        str(len(verdicts)),
        str(sum(verdict.lock for verdict in verdicts)),
        str(asked.count(True)) if asked else "–",
        str(asked.count(False)) if asked else "–",
        str(sum(verdict.survived for verdict in verdicts)),
    ]


def say(console: Console, text: str) -> None:
    """A line as it is: names hold brackets and quotes, and are for grep."""
    console.print(text, soft_wrap=True, markup=False, highlight=False)


def main(arguments: list[str], source: Source = access_mutants.mutants) -> int:
    parser = argparse.ArgumentParser(
        prog="mutate-access", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("database_url", nargs="?", metavar="DATABASE_URL")
    parser.add_argument("--only", default="", metavar="NAME", help="the harms whose name contains this")
    parser.add_argument("--lock-only", action="store_true", help="ask the lock alone, which takes seconds")
    parser.add_argument("--json", action="store_true", help="every verdict, for a program")
    asked = parser.parse_args(arguments)
    begun = time.monotonic()
    try:
        if asked.database_url:
            require_loopback(asked.database_url)
        with own_database() if not asked.database_url else given(asked.database_url) as url, progress() as each:
            verdicts = run(url, only=asked.only, lock_only=asked.lock_only, source=source, each=each)
    except psycopg.errors.LockNotAvailable:
        print(
            "mutate-access: a test or another run works on this database; try again when it has ended", file=sys.stderr
        )
        return 1
    except (AccessError, StackError, psycopg.Error) as error:
        print(f"mutate-access: {error}", file=sys.stderr)
        return 1
    seconds = time.monotonic() - begun
    if asked.json:
        described = [asdict(verdict) | {"survived": verdict.survived} for verdict in verdicts]
        print(json.dumps({"seconds": round(seconds, 1), "mutants": described}, indent=2, ensure_ascii=False))
    else:
        console = Console()
        report(verdicts, seconds, console if console.is_terminal else Console(width=WIDTH_IN_A_PIPE))
    return 1 if any(verdict.survived for verdict in verdicts) else 0


@contextmanager
def given(database_url: str) -> Iterator[str]:
    yield database_url


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
