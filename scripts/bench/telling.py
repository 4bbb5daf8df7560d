"""What an insert of trends pays for being told: events, deliveries, wake-ups, news, numbers and broadcasts.

A Postgres of its own is built from the schema files, with one endpoint that wants all events and with the secrets that
a wake-up needs. pgbench commits the same statement with the triggers of the table switched on and off, in turn, from
empty tables each time. Every trend is above 0.8, so it has all there is to tell. Percentiles are medians over the
rounds, of the time of a statement up to and with its commit.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psycopg
from rich.console import Console
from rich.table import Table

from scripts import schemas
from scripts.local_stack import debian_root, postgres
from scripts.local_stack.settings import Stack

Connection = psycopg.Connection[Any]

PREPARE = (
    "select cron.alter_job(jobid, active => false) from cron.job",
    "delete from vault.secrets where name in ('project_url', 'wake_secret')",
    "select vault.create_secret('http://127.0.0.1:9', 'project_url')",
    "select vault.create_secret('not a secret', 'wake_secret')",
    """
    select public.register_webhook_endpoint(
        'http://127.0.0.1:9/telling',
        'whsec_' || encode(decode(repeat('ab', 32), 'hex'), 'base64'),
        '{trend.detected,trend.updated}',
        true
    )
    """,
)
EMPTY = """
    truncate public.trending_keywords, ops.outbox, private.trend_news, realtime.messages, net.http_request_queue cascade
"""
TABLE = "alter table public.trending_keywords {} trigger user"
INSERT = """
    insert into public.trending_keywords (keyword, trend_score, growth_rate)
    select 'telling ' || gen_random_uuid(), 0.9, 120
    from generate_series(1, {trends});
"""


@dataclass(frozen=True)
class Case:
    """So many clients commit statements of so many trends, each as fast as it can."""

    clients: int
    trends: int


CASES = (Case(1, 1), Case(8, 1), Case(1, 26), Case(1, 5_000))


@dataclass(frozen=True)
class Result:
    """Milliseconds of a statement with its commit; extra is what telling adds to the percentile."""

    clients: int
    trends: int
    statements: int
    untold_p50: float
    untold_p99: float
    told_p50: float
    told_p99: float
    extra_p50: float
    extra_p99: float


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=3, help="of pgbench, a way and round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    options = parser.parse_args()
    results = list(measure(CASES, seconds=options.seconds, rounds=options.rounds, quiet=options.json))
    if options.json:
        print(json.dumps([asdict(result) for result in results]))
    else:
        show(results)
    return 0


def measure(cases: Sequence[Case], *, seconds: int, rounds: int, quiet: bool) -> Iterator[Result]:
    log = Console(stderr=True, quiet=quiet)
    with schemas.empty_databases("telling") as (stack,):
        schemas.build_from_schemas(stack)
        with psycopg.connect(stack.database_url("supabase_admin"), autocommit=True) as connection:
            for statement in PREPARE:
                connection.execute(statement.encode())
            for case in cases:
                log.print(f"{case.clients} clients, {case.trends:,} trends in a statement")
                yield measure_case(stack, connection, case, seconds=seconds, rounds=rounds)


def measure_case(stack: Stack, connection: Connection, case: Case, *, seconds: int, rounds: int) -> Result:
    percentiles: dict[bool, list[tuple[float, float]]] = {False: [], True: []}
    statements = 0
    for _ in range(rounds):
        for is_told, measured in percentiles.items():
            connection.execute(EMPTY)
            connection.execute(TABLE.format("enable" if is_told else "disable").encode())
            times = bench(stack, case, seconds=seconds)
            check(connection, len(times) * case.trends, is_told=is_told)
            measured.append((percentile(times, 0.5), percentile(times, 0.99)))
            statements += len(times) if is_told else 0
    (untold_p50, untold_p99), (told_p50, told_p99) = (
        [statistics.median(each) for each in zip(*percentiles[is_told], strict=True)] for is_told in (False, True)
    )
    return Result(
        clients=case.clients,
        trends=case.trends,
        statements=statements,
        untold_p50=untold_p50,
        untold_p99=untold_p99,
        told_p50=told_p50,
        told_p99=told_p99,
        extra_p50=told_p50 - untold_p50,
        extra_p99=told_p99 - untold_p99,
    )


def bench(stack: Stack, case: Case, *, seconds: int) -> list[float]:
    """Milliseconds of each statement that pgbench committed."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        script = INSERT.format(trends=case.trends)
        (folder / "insert.sql").write_text(" ".join(script.split()) + "\n", encoding="utf-8")
        command = (
            f"cd /tmp && pgbench -n -M prepared -c {case.clients} -j {min(case.clients, 2)} -T {seconds} -l"
            f" -f {debian_root.TESTS}/insert.sql '{stack.database_url()}' && cat pgbench_log.*"
        )
        done = subprocess.run(
            postgres.in_root(stack, ["sh", "-c", command], tests=folder), capture_output=True, text=True, check=False
        )
    times = [int(found) / 1000 for found in re.findall(r"^\d+ \d+ (\d+) \d+ \d+ \d+$", done.stdout, re.MULTILINE)]
    if done.returncode != 0 or not times:
        raise SystemExit(f"pgbench could not insert: {done.stderr.strip()[-2000:]}")
    return times


def check(connection: Connection, trends: int, *, is_told: bool) -> None:
    """A trigger that failed would be quick: all that is to be told must be there."""
    row = connection.execute(
        """
        select
            (select count(*) from public.trending_keywords),
            (select count(*) from ops.webhook_deliveries),
            (select count(news.cursor) from private.trend_news as news),
            exists (select from realtime.messages where topic = 'trends'),
            exists (select from net.http_request_queue)
        """
    ).fetchone()
    expected = (trends, 2 * trends, trends, True, True) if is_told else (trends, 0, 0, False, False)
    if row != expected:
        raise SystemExit(f"trends, deliveries, news, broadcasts and wake-ups are {row}, not {expected}")


def percentile(times: Sequence[float], part: float) -> float:
    return sorted(times)[min(int(len(times) * part), len(times) - 1)]


def show(results: Sequence[Result]) -> None:
    table = Table(title="an insert of trends with its commit, ms")
    for heading in ("clients", "trends", "untold p50, p99", "told p50, p99", "extra p50", "extra p99"):
        table.add_column(heading, justify="right")
    for result in results:
        table.add_row(
            str(result.clients),
            f"{result.trends:,}",
            f"{result.untold_p50:,.2f}, {result.untold_p99:,.2f}",
            f"{result.told_p50:,.2f}, {result.told_p99:,.2f}",
            f"{result.extra_p50:,.2f}",
            f"{result.extra_p99:,.2f}",
        )
    Console().print(table)


if __name__ == "__main__":
    sys.exit(main())
