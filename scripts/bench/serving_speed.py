"""Search and the feed through SQL, each beside the query that it replaces, in one run over invented data.

A Postgres of its own is built, filled (`serving_data.sql`), folded and learned from; pgbench runs the pairs in turn,
8 clients, prepared statements, as a signed-in person under row-level security. Answers are compared before times.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
from rich.console import Console
from rich.table import Table

from scripts import schemas
from scripts.bench.serving_pairs import Contender, Pair, pairs
from scripts.local_stack import debian_root, postgres
from scripts.local_stack.settings import Stack

DATA = Path(__file__).with_name("serving_data.sql")
SIZES = {  # videos, keywords, people, interactions; ten mappings a video
    "small": (100_000, 50_000, 50_000, 1_000_000),
    "large": (1_000_000, 200_000, 200_000, 10_000_000),
}
CLIENTS = 8


@dataclass(frozen=True)
class Timed:
    """Medians over the rounds: answers a second of all clients, milliseconds an answer, buffer blocks an answer."""

    tps: float
    p50: float
    p95: float
    blocks: float


@dataclass
class Result:
    """What one pair measured at one size; ratio is ours over the baseline in answers a second."""

    size: str
    question: str
    baseline: str
    measured: dict[str, Timed] = field(default_factory=dict)
    ratio: float = 0.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", choices=[*SIZES, "both"], default="small")
    parser.add_argument("--videos", type=int, help="a size of your own, with 2.5 people and 10 interactions a video")
    parser.add_argument("--seconds", type=float, default=3, help="of pgbench, a pair and round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", metavar="TEXT", default="", help="only questions that fit this regular expression")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    options = parser.parse_args()
    if options.videos:
        sizes = {f"{options.videos:,}": (options.videos, options.videos // 2, options.videos // 2, options.videos * 10)}
    else:
        sizes = {name: SIZES[name] for name in (SIZES if options.size == "both" else [options.size])}
    results = [
        result
        for name, numbers in sizes.items()
        for result in measure_size(
            name, numbers, seconds=options.seconds, rounds=options.rounds, only=options.only, quiet=options.json
        )
    ]
    if options.json:
        print(json.dumps([asdict(result) for result in results]))
    else:
        show(results)
    return 0


def measure_size(
    name: str, numbers: tuple[int, int, int, int], *, seconds: float, rounds: int, only: str, quiet: bool
) -> Iterator[Result]:
    log = Console(stderr=True, quiet=quiet)
    with schemas.empty_databases("bench") as (stack,):
        schemas.build_from_migrations(stack)
        with psycopg.connect(stack.database_url("supabase_admin"), autocommit=True) as connection:
            for doing, done in build(
                connection,
                numbers,
                is_learned=bool(re.search(only, "feed, computed") or re.search(only, "similar videos")),
            ):
                log.print(f"{name}: {doing} in {done:.1f} s")
            for pair in pairs(connection, only):
                log.print(f"{name}: {pair.question} beside {pair.baseline.name}")
                yield measure(stack, connection, pair, name, seconds=seconds, rounds=rounds)


def build(
    connection: psycopg.Connection[Any], numbers: tuple[int, int, int, int], *, is_learned: bool
) -> Iterator[tuple[str, float]]:
    """Fill the tables, then do what the jobs would do until nothing is left to do; search alone learns nothing."""
    # The schedule would fold beside the measurements.
    connection.execute("select cron.alter_job(jobid, active => false) from cron.job")
    script = DATA.read_text(encoding="utf-8")
    for word, number in zip(("videos", "keywords", "people", "interactions"), numbers, strict=True):
        script = script.replace(f"{{{word}}}", str(number))
    for doing, statement in (
        ("filled", script),
        ("analyzed", "vacuum analyze"),
        ("cards and lists built", "select private.rebuild_video_cards()"),
        ("suggestions made", "select private.refresh_suggestions(1000000)"),
    ):
        begun = time.monotonic()
        connection.execute(statement.encode())
        yield doing, time.monotonic() - begun
    for doing, function in (
        ("vectors folded", "private.fold_video_vectors"),
        ("neighbours learned", "private.learn_neighbours"),
        ("tastes learned", "private.learn_tastes"),
    ):
        if not is_learned:
            break
        begun = time.monotonic()
        run_until_nothing(connection, function)
        yield doing, time.monotonic() - begun
    begun = time.monotonic()
    connection.execute("vacuum analyze")
    yield "analyzed again", time.monotonic() - begun


def run_until_nothing(connection: psycopg.Connection[Any], job: str) -> None:
    """Repeat a job while it says that something is left; one that does not say so, while it counts anything."""
    while True:
        row = connection.execute(f"select {job}()".encode()).fetchone()
        assert row is not None
        counts = row[0]
        if not counts.pop("left", any(counts.values())):
            return


def measure(
    stack: Stack, connection: psycopg.Connection[Any], pair: Pair, size: str, *, seconds: float, rounds: int
) -> Result:
    result = Result(size, pair.question, pair.baseline.name)
    contenders = {"baseline": pair.baseline, "ours": pair.ours}
    rotated: dict[str, list[tuple[float, list[float]]]] = {name: [] for name in contenders}
    pair.prepare(connection)
    for contender in contenders.values():
        bench(stack, contender, seconds=1)
    for _ in range(rounds):
        for name, contender in contenders.items():
            rotated[name].append(bench(stack, contender, seconds=seconds))
    for name, runs in rotated.items():
        times = sorted(time for _, each in runs for time in each)
        result.measured[name] = Timed(
            tps=statistics.median(tps for tps, _ in runs),
            p50=times[len(times) // 2],
            p95=times[int(len(times) * 0.95)],
            blocks=blocks(connection, contenders[name]),
        )
    result.ratio = statistics.median(
        ours / base for (ours, _), (base, _) in zip(rotated["ours"], rotated["baseline"], strict=True)
    )
    return result


def bench(stack: Stack, contender: Contender, *, seconds: float) -> tuple[float, list[float]]:
    """pgbench with one script a statement: answers a second, and milliseconds of each answer."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        for number, statement in enumerate(contender.statements):
            (folder / f"{number}.sql").write_text(f"{statement};\n", encoding="utf-8")
        scripts = " ".join(f"-f {debian_root.TESTS}/{number}.sql" for number in range(len(contender.statements)))
        options = quote(f"-c role={contender.role}" if contender.role != "postgres" else "-c work_mem=16MB")
        command = (
            f"cd /tmp && pgbench -n -M prepared -c {CLIENTS} -j 2 -T {seconds:g} --random-seed=7 -l {scripts}"
            f" '{stack.database_url()}?options={options}' && cat pgbench_log.*"
        )
        done = subprocess.run(
            postgres.in_root(stack, ["sh", "-c", command], tests=folder), capture_output=True, text=True, check=False
        )
    found = re.search(r"^tps = ([0-9.]+)", done.stdout, re.M)
    if done.returncode != 0 or found is None:
        raise SystemExit(f"pgbench could not run {contender.name}: {done.stderr.strip()[-2000:]}")
    times = [
        int(fields[2]) / 1000
        for line in done.stdout.splitlines()
        if len(fields := line.split()) == 6 and fields[2].isdigit()
    ]
    return float(found.group(1)), times


def blocks(connection: psycopg.Connection[Any], contender: Contender) -> float:
    """Buffer blocks that an answer touches, the mean over some statements; the first run warms the plans."""
    touched: list[float] = []
    with connection.transaction(force_rollback=True):
        connection.execute(f"set local role {contender.role}".encode())
        for statement in contender.statements[:20]:
            for _ in range(2):
                row = connection.execute(f"explain (analyze, buffers, format json) {statement}".encode()).fetchone()
            assert row is not None
            plan = row[0][0]["Plan"]
            touched.append(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])
    return statistics.mean(touched)


def show(results: list[Result]) -> None:
    table = Table(title="search and feed, 8 clients, as a signed-in person")
    for heading in (
        "size",
        "question",
        "beside",
        "p50, p95 (ms)",
        "ours p50, p95 (ms)",
        "blocks",
        "ours",
        "times as fast",
    ):
        table.add_column(heading, justify="left" if heading in {"size", "question", "beside"} else "right")
    for result in results:
        baseline, ours = result.measured["baseline"], result.measured["ours"]
        table.add_row(
            result.size,
            result.question,
            result.baseline,
            f"{baseline.p50:,.2f}, {baseline.p95:,.2f}",
            f"{ours.p50:,.2f}, {ours.p95:,.2f}",
            f"{baseline.blocks:,.0f}",
            f"{ours.blocks:,.0f}",
            f"{result.ratio:,.2f}",
        )
    Console().print(table)


if __name__ == "__main__":
    sys.exit(main())
