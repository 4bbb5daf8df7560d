"""Rows per second and memory of `ondol ingest dataset`, beside plain COPY of the same stored rows in the same run.

A fresh stack is started for it; each data set goes into emptied tables: through the command, and then by COPY, from
files that COPY wrote of what the command had stored, into the same tables with the same indexes and triggers.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import psycopg
from psycopg import sql
from rich.console import Console
from rich.table import Table

from scripts.local_stack import for_tests
from scripts.local_stack.settings import Stack

SHARED = Path(__file__).parents[3] / "shared" / "data"
NAMES = (
    "youtube-8countries-2026-07",
    "youtube-kr-us-jp-2025-11",
    "youtube-kr-velocity-2026-08",
    "youtube-kaggle-trending-samples",
)
TABLES = (
    ("public", "cached_channels"),
    ("public", "cached_videos"),
    ("public", "keyword_video_mappings"),
    ("private", "keyword_signals"),
)
GROWTH_OF = "youtube-8countries-2026-07"
CHUNK = 1 << 20  # bytes


@dataclass(frozen=True)
class Measured:
    """One data set: stored rows, seconds of the whole command and of COPY, the command's peak memory in MB."""

    name: str
    rows: int
    seconds: float
    command_seconds: float
    copy_seconds: float
    peak_mb: int

    @property
    def rows_per_second(self) -> float:
        """End to end: the process from its start to its end."""
        return self.rows / self.command_seconds

    @property
    def copy_rows_per_second(self) -> float:
        return self.rows / self.copy_seconds

    @property
    def ratio(self) -> float:
        """1 is as fast as COPY."""
        return self.copy_seconds / self.command_seconds


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=SHARED, help="folder of the data sets")
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    options = parser.parse_args()
    with for_tests.running() as stack:
        measured = [measure(stack, options.data / name, name=name) for name in NAMES]
        whole = options.data / GROWTH_OF
        measured.append(measure(stack, whole, name=f"{GROWTH_OF}, one country of eight", regions=("KR",)))
    if options.json:
        rates = ("rows_per_second", "copy_rows_per_second", "ratio")
        print(json.dumps([{**asdict(each), **{rate: getattr(each, rate) for rate in rates}} for each in measured]))
    else:
        show(measured)
    return 0


def measure(stack: Stack, path: Path, *, name: str, regions: tuple[str, ...] = ()) -> Measured:
    """Load `path` into empty tables, then the same rows by COPY."""
    with psycopg.connect(stack.database_url("supabase_admin"), autocommit=True) as connection:
        empty(connection)
        report, seconds, peak = load(stack, path, regions=regions)
        with tempfile.TemporaryDirectory() as folder:
            dumped = [dump(connection, table, Path(folder)) for table in TABLES]
            empty(connection)
            begun = time.monotonic()
            for table, (columns, file, _) in zip(TABLES, dumped, strict=True):
                copy(connection, table, columns, file)
            copied = time.monotonic() - begun
        rows = sum(count for _, _, count in dumped)
    return Measured(name, rows, report["seconds"], seconds, copied, peak)


def load(stack: Stack, path: Path, *, regions: tuple[str, ...]) -> tuple[dict[str, float], float, int]:
    """The command's report, its seconds from start to end, and its peak memory in MB."""
    command = [sys.executable, "-m", "app.cli", "ingest", "dataset", str(path), "--json"]
    for region in regions:
        command += ["--region", region]
    environ = {
        **os.environ,
        "SUPABASE_URL": stack.api_url,
        "SUPABASE_PUBLISHABLE_KEY": stack.keys.publishable,
        "SUPABASE_SECRET_KEY": stack.keys.secret,
        "ONDOL_TIMEOUT_SECONDS": "60",
    }
    begun = time.monotonic()
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen(command, stdout=out, env=environ)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - begun
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode not in (0, 3):
            raise SystemExit(f"bench: {path} ended with {process.returncode}")
        out.seek(0)
        return json.load(out), seconds, usage.ru_maxrss // 1024


def empty(connection: psycopg.Connection) -> None:
    names = sql.SQL(", ").join(sql.Identifier(*table) for table in TABLES)
    connection.execute("set client_min_messages = warning")
    connection.execute(sql.SQL("truncate {} cascade").format(names))
    connection.execute("checkpoint")


def dump(connection: psycopg.Connection, table: tuple[str, str], folder: Path) -> tuple[sql.Composable, Path, int]:
    """The stored columns, the file that COPY wrote, and the number of rows."""
    found = connection.execute(
        "select attribute.attname from pg_catalog.pg_attribute as attribute"
        " where attribute.attrelid = format('%%I.%%I', %s::text, %s::text)::regclass and attribute.attnum > 0"
        " and not attribute.attisdropped and attribute.attgenerated = '' order by attribute.attnum",
        table,
    ).fetchall()
    columns = sql.SQL(", ").join(sql.Identifier(name) for (name,) in found)
    file = folder / table[1]
    rows = sql.SQL("copy (select {} from {}) to stdout").format(columns, sql.Identifier(*table))
    with connection.cursor() as cursor:
        with file.open("wb") as out, cursor.copy(rows) as written:
            for part in written:
                out.write(part)
        return columns, file, cursor.rowcount


def copy(connection: psycopg.Connection, table: tuple[str, str], columns: sql.Composable, file: Path) -> None:
    into = sql.SQL("copy {} ({}) from stdin").format(sql.Identifier(*table), columns)
    with connection.cursor() as cursor, file.open("rb") as read, cursor.copy(into) as written:
        while part := read.read(CHUNK):
            written.write(part)


def show(measured: list[Measured]) -> None:
    table = Table(title="ondol ingest dataset, beside COPY of the same rows", title_justify="left")
    for name in ("data set", "rows", "seconds", "rows/s", "COPY rows/s", "of COPY", "peak MB"):
        table.add_column(name, justify="left" if name == "data set" else "right")
    for each in measured:
        table.add_row(
            each.name,
            f"{each.rows:,}",
            f"{each.command_seconds:.1f}",
            f"{each.rows_per_second:,.0f}",
            f"{each.copy_rows_per_second:,.0f}",
            f"{each.ratio:.2f}",
            f"{each.peak_mb}",
        )
    Console().print(table)


if __name__ == "__main__":
    sys.exit(main())
