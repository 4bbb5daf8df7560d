"""The real `supabase db push` against the local Postgres, when there is something to push."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import psycopg

from .errors import StackError
from .settings import Stack

CLI_SECONDS = 300


def push(stack: Stack, say: Callable[[str], None]) -> None:
    """Apply the migrations that the database does not have yet."""
    pending = waiting(stack)
    if not pending:
        return
    say(f"applying {len(pending)} migrations with supabase db push")
    done = supabase(stack, "db", "push", "--yes")
    if done.returncode != 0:
        raise StackError(
            f"supabase db push ended with {done.returncode}: {(done.stderr or done.stdout).strip()[-2000:]}",
            next_step="Mend the migration that it names, then run ./scripts/dev up: it goes on from there.",
        )


def waiting(stack: Stack) -> list[str]:
    """Versions in supabase/migrations that the database has not recorded."""
    files = sorted((stack.repository / "supabase" / "migrations").glob("*.sql"))
    versions = [file.name.partition("_")[0] for file in files]
    with psycopg.connect(stack.database_url()) as connection:
        known = connection.execute("select to_regclass('supabase_migrations.schema_migrations')").fetchone()
        if known is None or known[0] is None:
            return versions
        applied = connection.execute("select version from supabase_migrations.schema_migrations").fetchall()
    return sorted(set(versions) - {row[0] for row in applied})


def supabase(stack: Stack, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the real Supabase CLI against this stack's database."""
    return run_cli(stack.repository, *arguments, f"--remote={cli_address(stack)}")


def cli_address(stack: Stack) -> str:
    """The database as the CLI wants it named: without the notice about TLS."""
    return f"{stack.database_url()}?sslmode=disable"


def run_cli(repository: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the real Supabase CLI; raises StackError when it takes minutes."""
    try:
        return subprocess.run(
            [str(repository / "node_modules" / ".bin" / "supabase"), *arguments],
            cwd=repository,
            env={**os.environ, "SUPABASE_TELEMETRY_DISABLED": "1", "DO_NOT_TRACK": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=CLI_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise StackError(
            f"supabase {' '.join(arguments[:2])} did not end within {CLI_SECONDS} s.",
            next_step="See with ./scripts/dev psql what holds a lock in pg_stat_activity, then run it again.",
        ) from error
