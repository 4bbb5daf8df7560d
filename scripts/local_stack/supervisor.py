"""up, down, status and reset: what brings a stack up, heals it, names what is broken, and ends it."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from . import debian_root, migrations, postgres, processes, seed
from .errors import StackError
from .parts import parts
from .processes import Part
from .settings import Stack

BYTES_NEEDED = 500_000_000
Say = Callable[[str], None]


@dataclass(frozen=True)
class PartStatus:
    """How one part is: `pid` is none when no process of ours runs it."""

    name: str
    state: str
    pid: int | None
    port: int | None


def up(stack: Stack, say: Say) -> None:
    """Start what is not healthy, apply what migrations are new; a running healthy part is left alone."""
    require_machine(stack)
    stack.save()
    clear_broken(stack)
    require_free_ports(stack)
    seed.write_secrets(stack)
    database, data_api, *rest = parts(stack)
    if launch_if_needed(database, stack, say):
        processes.wait_until_healthy(database, stack)
    postgres.bootstrap(stack)  # an interrupted start may have left a running server without it
    # The parts find the database empty or migrated: they start while the migrations run.
    started = [part for part in (data_api, *rest) if launch_if_needed(part, stack, say)]
    processes.wait_until_healthy(data_api, stack)
    migrations.push(stack, say)
    seed.plant(stack)
    for part in started:
        processes.wait_until_healthy(part, stack)


def down(stack: Stack) -> None:
    """End every part of the stack, the last started first."""
    for part in reversed(parts(stack)):
        processes.stop(part, stack)


def reset(stack: Stack) -> None:
    """End the stack and forget its data; the checkout's keys stay."""
    down(stack)
    shutil.rmtree(stack.state, ignore_errors=True)


def status(stack: Stack) -> list[PartStatus]:
    return [part_status(part, stack) for part in parts(stack)]


def part_status(part: Part, stack: Stack) -> PartStatus:
    pid = processes.process_id(part.name, stack)
    state = "healthy" if pid is not None and part.healthy() else "stopped" if pid is None else "not answering"
    return PartStatus(name=part.name, state=state, pid=pid, port=part.port)


@contextmanager
def exclusive(stack: Stack, purpose: str = "parts") -> Iterator[None]:
    """Hold the stack for one command: two at once would start every part twice.

    `foreground` is held by a ./scripts/dev for as long as it runs, `parts` only while parts are started or ended.
    """
    stack.state.parent.mkdir(parents=True, exist_ok=True)
    with (stack.state.parent / f"{stack.name}.{purpose}.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise StackError(
                f"Another ./scripts/dev is at work on this stack (process {lock.read().strip() or 'unknown'}).",
                next_step="Wait for it or end it with Ctrl-C where it runs; ./scripts/dev status shows the parts.",
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def require_machine(stack: Stack) -> None:
    """Refuse with one sentence what would fail later with many."""
    if os.geteuid() != 0:
        raise StackError(
            "The local Postgres runs in a Debian root of its own, and only root can enter that.",
            next_step="Run the same command with sudo, or use `supabase start` where Docker is.",
        )
    stack.state.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(stack.state).free
    if free < BYTES_NEEDED:
        raise StackError(
            f"{stack.state} has {free / 1e6:.0f} MB free and a stack needs {BYTES_NEEDED / 1e6:.0f} MB.",
            next_step="Free some space, then run the same command again.",
        )
    debian_root.build(stack.cache, stack.state.parent / "setup" / "debootstrap.log")


def clear_broken(stack: Stack) -> None:
    """End parts that run but do not answer, so that they can be started again."""
    for part in reversed(parts(stack)):
        if processes.process_id(part.name, stack) is not None and not part.healthy():
            processes.stop(part, stack)


def require_free_ports(stack: Stack) -> None:
    """Look at every port before the first part starts, so that a refusal leaves nothing half up."""
    for part in parts(stack):
        if part.port is not None and processes.process_id(part.name, stack) is None:
            processes.require_free_port(part.port)


def launch_if_needed(part: Part, stack: Stack, say: Say) -> bool:
    if processes.process_id(part.name, stack) is not None:
        return False
    if part.name == "postgres":
        postgres.write_extension_overlay(stack)
        postgres.initialise(stack)
    say(f"starting {part.name}")
    processes.start(part, stack)
    return True
