"""The schema files as the truth: their order, their text joined, and throwaway databases built from them."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg

from scripts.local_stack import debian_root, migrations, postgres
from scripts.local_stack.errors import StackError
from scripts.local_stack.settings import REPOSITORY, Stack

SCHEMAS = REPOSITORY / "supabase" / "schemas"
MIGRATIONS = REPOSITORY / "supabase" / "migrations"
FLOOR = "floor"


def rooms() -> list[str]:
    """The rooms in the order they are built: the floor first, no room needs another."""
    found = sorted(folder.name for folder in SCHEMAS.iterdir() if folder.is_dir())
    return sorted(found, key=lambda room: room != FLOOR)


def files(room: str) -> list[Path]:
    """A room's schema files in the order of their numbers."""
    return sorted((SCHEMAS / room).glob("*.sql"))


def joined(room: str) -> str:
    """A room's first migration: its schema files, one after the other."""
    parts = [
        f"-- {file.relative_to(REPOSITORY)}\n\n{file.read_text(encoding='utf-8').strip()}\n" for file in files(room)
    ]
    return "\n".join(parts)


def build_from_schemas(stack: Stack) -> None:
    """Run every schema file on an empty database, as `postgres`, like a migration would."""
    with psycopg.connect(stack.database_url(), autocommit=True) as connection:
        for room in rooms():
            for file in files(room):
                with connection.transaction():
                    connection.execute(file.read_bytes())


def build_from_migrations(stack: Stack) -> None:
    migrations.push(stack, lambda _: None)


def dump(stack: Stack) -> str:
    """What the database is, as text; what it holds, and the CLI's own notes, left out."""
    done = subprocess.run(
        postgres.in_root(
            stack,
            [
                f"{debian_root.BINARIES}/pg_dump",
                "--schema-only",
                "--no-owner",
                "--exclude-schema=supabase_migrations",
                stack.database_url("supabase_admin"),
            ],
        ),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise StackError(
            f"pg_dump ended with {done.returncode}: {done.stderr.strip()}", next_step="Mend what it names."
        )
    # pg_dump guards its output with a key that is new each time.
    return "\n".join(line for line in done.stdout.splitlines() if not line.startswith(("\\restrict", "\\unrestrict")))


@contextmanager
def empty_databases(*names: str) -> Iterator[list[Stack]]:
    """Clusters of their own, as a new hosted project has them, gone at the end.

    Not databases of one cluster: pg_cron and roles exist once per cluster.
    """
    debian_root.build(Stack.create(names[0]).cache, REPOSITORY / ".local" / "debian-root.log")
    with ExitStack() as clusters:
        yield [clusters.enter_context(empty_database(name)) for name in names]


@contextmanager
def empty_database(name: str) -> Iterator[Stack]:
    """One cluster in `.local/<name>-<process>`, on a free port, without any other part of a stack."""
    stack = Stack.create(f"{name}-{os.getpid()}", port_base=free_port() - 2)
    stack.logs.mkdir(parents=True)
    postgres.write_extension_overlay(stack)
    postgres.initialise(stack)
    with (stack.logs / "postgres.log").open("ab") as log:
        server = subprocess.Popen(
            postgres.command(stack), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    try:
        postgres.wait_until_ready(stack)
        postgres.bootstrap(stack)
        yield stack
    finally:
        server.send_signal(signal.SIGQUIT)  # nothing in it is worth a checkpoint
        server.wait(timeout=30)
        shutil.rmtree(stack.state, ignore_errors=True)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
