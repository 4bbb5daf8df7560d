"""Starting, recognising and ending the processes of a stack, by process id and never by name."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from .errors import StackError
from .settings import Stack

NOBODY = "another program"  # no process of ours, or one that is just ending


@dataclass(frozen=True)
class Part:
    """One process of the stack; `healthy` asks the part itself, not the process table."""

    name: str
    command: list[str]
    healthy: Callable[[], bool]
    port: int | None = None
    environment: dict[str, str] = field(default_factory=dict)
    stop_signal: signal.Signals = signal.SIGTERM


def start(part: Part, stack: Stack) -> None:
    """Start the part in a session of its own, so that Ctrl-C reaches the supervisor alone."""
    stack.logs.mkdir(parents=True, exist_ok=True)
    stack.run.mkdir(parents=True, exist_ok=True)
    with (stack.logs / f"{part.name}.log").open("ab") as log:
        process = subprocess.Popen(
            part.command,
            cwd=stack.repository,
            env={**os.environ, "PYTHONPATH": str(stack.repository), "PYTHONUNBUFFERED": "1", **part.environment},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    record = {"pid": process.pid, "started": start_time(process.pid)}
    process.returncode = 0  # it outlives this object, which would warn; the record follows it from here on
    record_file(part.name, stack).write_text(json.dumps(record), encoding="utf-8")


def process_id(name: str, stack: Stack) -> int | None:
    """The id of the part's living process; an id that the system gave to somebody else is not ours."""
    try:
        record = json.loads(record_file(name, stack).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    pid = int(record["pid"])
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    return pid if record["started"] is not None and start_time(pid) == record["started"] else None


def stop(part: Part, stack: Stack, *, seconds: float = 10) -> None:
    """Ask the part to end; after `seconds` end its whole process group."""
    pid = process_id(part.name, stack)
    if pid is not None:
        with suppress(ProcessLookupError):
            os.kill(pid, part.stop_signal)
        deadline = time.monotonic() + seconds
        while process_id(part.name, stack) is not None:
            if time.monotonic() > deadline:
                with suppress(ProcessLookupError):
                    os.killpg(pid, signal.SIGKILL)
                deadline = time.monotonic() + seconds
            time.sleep(0.02)
    record_file(part.name, stack).unlink(missing_ok=True)


def wait_until_healthy(part: Part, stack: Stack, *, seconds: float = 40) -> None:
    deadline = time.monotonic() + seconds
    while not part.healthy():
        if process_id(part.name, stack) is None:
            raise StackError(
                f"{part.name} ended while it started: {last_line(part.name, stack)}",
                next_step=f"Read {stack.logs / part.name}.log, then run ./scripts/dev up.",
            )
        if time.monotonic() > deadline:
            raise StackError(
                f"{part.name} runs but did not answer within {seconds:.0f} s.",
                next_step=f"Read {stack.logs / part.name}.log, then run ./scripts/dev up.",
            )
        time.sleep(0.03)


def record_file(name: str, stack: Stack) -> Path:
    return stack.run / f"{name}.json"


def start_time(pid: int) -> int | None:
    """The process's start in clock ticks since boot; none for a process that is gone or a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def last_line(name: str, stack: Stack) -> str:
    try:
        lines = (stack.logs / f"{name}.log").read_text(encoding="utf-8", errors="replace").strip().splitlines()
    except FileNotFoundError:
        lines = []
    return lines[-1] if lines else "it wrote nothing"


def require_free_port(port: int) -> None:
    deadline = time.monotonic() + 5
    while (holder := port_holder(port)) == NOBODY and time.monotonic() < deadline:
        time.sleep(0.05)  # whoever held it is being buried
    if holder is not None:
        raise StackError(
            f"Port {port} on 127.0.0.1 is taken by {holder}.",
            next_step="End that program, or give this stack other ports: ./scripts/dev --port-base 58320.",
        )


def port_holder(port: int) -> str | None:
    """Who listens on the TCP port, as "process 12 (name)"; none when it is free."""
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with suppress(FileNotFoundError):
            for line in Path(table).read_text(encoding="utf-8").splitlines()[1:]:
                fields = line.split()
                if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                    inodes.add(f"socket:[{fields[9]}]")
    if not inodes:
        return None
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if any(str(descriptor.readlink()) in inodes for descriptor in (process / "fd").iterdir()):
                return f"process {process.name} ({(process / 'comm').read_text(encoding='utf-8').strip()})"
    return NOBODY
