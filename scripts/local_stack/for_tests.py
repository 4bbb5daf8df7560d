"""What ./scripts/test does on the test stack beside pytest: start, lint, advise, prove, end."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg

from . import migrations, postgres, supervisor
from .errors import StackError
from .settings import Stack

PORT_BASE = 15320  # below 32768: the system gives no client such a port, so that none is taken before the stack starts
ROOMS = ("public", "private", "ops")


def test_stack() -> Stack:
    """The stack that one test run shares; its ports are not those of ./scripts/dev."""
    return Stack.create("test", port_base=PORT_BASE)


def up() -> int:
    """Start a fresh test stack."""
    stack = test_stack()
    with supervisor.exclusive(stack):
        supervisor.reset(stack)
        supervisor.up(stack, lambda message: print(f"test: {message}", file=sys.stderr))
    return 0


def down() -> int:
    with supervisor.exclusive(test_stack()):
        supervisor.down(test_stack())
    return 0


@contextmanager
def running() -> Iterator[Stack]:
    """A fresh test stack, ended with the block."""
    up()
    try:
        yield test_stack()
    finally:
        down()


def lint() -> int:
    """`supabase db lint` over every schema of ours; a warning fails."""
    schemas = [part for name in ROOMS for part in ("--schema", name)]
    return report(migrations.supabase(test_stack(), "db", "lint", *schemas, "--level=warning", "--fail-on=warning"))


def advisors() -> int:
    """`supabase db advisors`, security and performance; a warning fails."""
    return report(migrations.supabase(test_stack(), "db", "advisors", "--type=all", "--level=warn", "--fail-on=warn"))


def prove() -> int:
    """pg_prove over supabase/tests, from inside the Debian root that has it."""
    stack = test_stack()
    with psycopg.connect(stack.database_url()) as connection:
        connection.execute("create extension if not exists pgtap with schema extensions")
    command = ["pg_prove", "--dbname", stack.database_url(), "--recurse", "--ext", ".sql", "/srv/tests"]
    tests = stack.repository / "supabase" / "tests"
    return subprocess.run(postgres.in_root(stack, command, tests=tests), check=False).returncode


def report(done: subprocess.CompletedProcess[str]) -> int:
    print((done.stdout + done.stderr).strip())
    return done.returncode


COMMANDS: dict[str, Callable[[], int]] = {
    "up": up,
    "down": down,
    "lint": lint,
    "advisors": advisors,
    "prove": prove,
}

if __name__ == "__main__":
    try:
        sys.exit(COMMANDS[sys.argv[1]]())
    except StackError as error:
        sys.exit(f"test: {error}")
