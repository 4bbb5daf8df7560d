"""The stack of the crash drill: its own, wired through the drill's gates; how its processes are killed and healed."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import psycopg

from scripts.local_stack import postgres, processes, seed, supervisor
from scripts.local_stack.errors import StackError
from scripts.local_stack.parts import parts
from scripts.local_stack.processes import Part
from scripts.local_stack.settings import Stack

from .crashes_gates import Gate

PORT_BASE = 19320
SWEEP_SECONDS = 2
START_SECONDS = 60
HOOKS = Path(__file__).with_name("crashes.sql")
RECEIVE = "/rpc/receive_trend"
OWN = "trend_webhook_secret"
# Path of the handler, the event type that it takes and the secret that opens it; an edge function has the same name.
RECEIVERS = {
    "notify-trend": ("trend.detected", OWN),
    "trend-update": ("trend.updated", "trend_update_webhook_secret"),
}


class CrashStack:
    """One running stack with a gate before the handler and one between the handler and the room."""

    def __init__(self, stack: Stack, *, lease_seconds: float) -> None:
        self.stack = stack
        self.to_handler = Gate(stack.ports.handler)
        self.to_room = Gate(stack.ports.gateway, path=RECEIVE)
        self._wire(lease_seconds)

    def connect(self) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(self.stack.database_url("supabase_admin"), autocommit=True, connect_timeout=5)

    def parts(self) -> list[Part]:
        """The stack's parts; the handler reaches the room through our gate."""
        room = {"SUPABASE_URL": f"http://127.0.0.1:{self.to_room.port}"}
        return [
            replace(part, environment={**part.environment, **room}) if part.name == "handler" else part
            for part in parts(self.stack)
        ]

    def restart_data_api(self) -> None:
        """PostgREST reconnects after a crash of Postgres; the driver of its stand-in may hang or end instead."""
        data_api = next(part for part in self.parts() if part.name == "data-api")
        self.kill_part(data_api.name)
        while processes.process_id(data_api.name, self.stack) is not None:
            time.sleep(0.01)
        start(data_api, self.stack)

    def heal(self) -> None:
        """What systemd does all the time: start what is gone and wait until it answers. Nothing is repaired."""
        for part in self.parts():
            if processes.process_id(part.name, self.stack) is None:
                if part.name == "net-worker":
                    (self.stack.run / "net-worker.beat").unlink(missing_ok=True)  # of the one that was killed
                start(part, self.stack)
            if part.name == "postgres":
                postgres.wait_until_ready(self.stack)

    def kill_postgres(self) -> int:
        """The postmaster first: left alone, its backends would end their statements in peace."""
        postmaster = processes.process_id("postgres", self.stack)
        assert postmaster is not None
        os.kill(postmaster, signal.SIGSTOP)  # nothing is born between the count and the kill
        children = [int(pid) for pid in Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()]
        killed = kill(postmaster, *children)
        while processes.process_id("postgres", self.stack) is not None:
            time.sleep(0.01)
        return killed

    def kill_backend(self, pid: int) -> int:
        """Postgres ends every other backend too and recovers by itself."""
        killed = kill(pid)
        while Path(f"/proc/{pid}").exists():
            time.sleep(0.01)
        return killed

    def kill_part(self, name: str) -> int:
        pid = processes.process_id(name, self.stack)
        return 0 if pid is None else kill(pid)

    def kill_functions(self) -> int:
        """Every process of an edge function that delivers."""
        gateway = processes.process_id("gateway", self.stack)
        assert gateway is not None
        return kill(*(pid for pid in children_of(gateway) if serves_a_delivery(pid)))

    def api_backend(self) -> int:
        """The backend that the Data API used last; another's when it has none."""
        with self.connect() as connection:
            row = connection.execute(
                "select pid from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()"
                " order by usename = 'authenticator' desc, state_change desc limit 1"
            ).fetchone()
        assert row is not None, "nobody is connected"
        return int(str(row[0]))

    def plant_fault(self, without: str | None) -> None:
        """Take away what the promise rests on; none gives it back."""
        with self.connect() as connection:
            connection.execute("update drill.settings set without = %s", (without,))
            connection.execute(
                "update cron.job set active = %s where jobname = 'floor-sweep-outbox'", (without != "sweep",)
            )

    def _wire(self, lease_seconds: float) -> None:
        """Send deliveries through the gate, plant the hooks, and start the handler behind the other gate."""
        made = seed.stack_secrets(self.stack)
        with self.connect() as connection:
            connection.execute("delete from public.webhook_endpoints")
            for path, (event_type, secret) in RECEIVERS.items():
                connection.execute(
                    "select public.register_webhook_endpoint(%s, %s, %s, allow_private => true)",
                    (
                        f"http://127.0.0.1:{self.to_handler.port}/webhooks/{path}",
                        made.get(secret, made[OWN]),
                        [event_type],
                    ),
                )
            connection.execute(HOOKS.read_bytes())
            connection.execute("update drill.settings set lease = make_interval(secs => %s)", (lease_seconds,))
            # Only the sweep: other jobs would write and lock beside the drill.
            connection.execute("update cron.job set active = (jobname = 'floor-sweep-outbox')")
            connection.execute(
                "select cron.alter_job(jobid, schedule => %s) from cron.job where active", (f"{SWEEP_SECONDS} seconds",)
            )
        handler = next(part for part in self.parts() if part.name == "handler")
        processes.stop(handler, self.stack)
        start(handler, self.stack)


@contextmanager
def crash_stack(*, port_base: int, lease_seconds: float) -> Iterator[CrashStack]:
    """A fresh stack, gone with its data when the block ends."""
    stack = Stack.create(f"crashes-{port_base}", port_base=port_base)
    with supervisor.exclusive(stack):
        supervisor.reset(stack)
        try:
            supervisor.up(stack, quiet)
            own = CrashStack(stack, lease_seconds=lease_seconds)
            try:
                yield own
            finally:
                own.to_handler.close()
                own.to_room.close()
        finally:
            supervisor.reset(stack)


def quiet(message: str) -> None:
    """The drill tells of kills, not of starts."""


def start(part: Part, stack: Stack) -> None:
    """Start the part; orphans of a killed postmaster keep its memory for a moment."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            supervisor.launch_if_needed(part, stack, quiet)
            processes.wait_until_healthy(part, stack)
            return
        except StackError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def kill(*pids: int) -> int:
    """kill -9 each; how many were there to be killed."""
    killed = 0
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            killed += 1
    return killed


def children_of(pid: int) -> list[int]:
    """Of every thread: a child belongs to the one that started it."""
    found: list[int] = []
    for file in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            found += [int(child) for child in file.read_text().split()]
    return found


def serves_a_delivery(pid: int) -> bool:
    with suppress(OSError):
        command = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
        return any(f"/{name}/index.ts" in command for name in RECEIVERS)
    return False
