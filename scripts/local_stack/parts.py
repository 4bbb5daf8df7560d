"""The parts of a stack in the order they start: how each is run and asked how it is."""

from __future__ import annotations

import signal
import sys
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress

import psycopg
from dotenv import dotenv_values

from . import postgres
from .processes import Part
from .settings import Stack

BEAT_SECONDS = 5


def parts(stack: Stack) -> list[Part]:
    """Every part of the stack, foundations first."""
    ports = stack.ports
    module = [sys.executable, "-m"]
    return [
        Part(
            name="postgres",
            command=postgres.command(stack),
            healthy=lambda: answers_sql(stack),
            port=ports.postgres,
            stop_signal=signal.SIGINT,
        ),
        Part(
            name="data-api",
            command=["node", "scripts/local_stack/data_api.mjs", str(stack.file)],
            healthy=answers_http(ports.data_api),
            port=ports.data_api,
        ),
        Part(
            name="realtime",
            command=[*module, "scripts.local_stack.realtime", str(stack.file)],
            healthy=answers_http(ports.realtime),
            port=ports.realtime,
        ),
        Part(
            name="net-worker",
            command=[*module, "scripts.local_stack.net_worker", str(stack.file)],
            healthy=lambda: beats(stack),
        ),
        Part(
            name="gateway",
            command=[*module, "scripts.local_stack.gateway", str(stack.file)],
            healthy=answers_http(ports.gateway),
            port=ports.gateway,
        ),
        Part(
            name="handler",
            command=[*module, "uvicorn", "functions.server:app", "--host", "127.0.0.1", "--port", str(ports.handler)],
            healthy=answers_http(ports.handler),
            port=ports.handler,
            environment=handler_environment(stack),
        ),
        Part(
            name="board",
            command=[*module, "scripts.local_stack.board", str(stack.file)],
            healthy=answers_http(ports.board),
            port=ports.board,
        ),
    ]


def handler_environment(stack: Stack) -> dict[str, str]:
    """What the webhook handler reads; its secrets are in handler.env."""
    secrets = {name: value for name, value in dotenv_values(stack.state / "handler.env").items() if value}
    return {"SUPABASE_URL": stack.api_url, "SUPABASE_SECRET_KEY": stack.keys.secret, **secrets}


def answers_sql(stack: Stack) -> bool:
    with suppress(psycopg.OperationalError):
        psycopg.connect(stack.database_url("supabase_admin"), connect_timeout=2).close()
        return True
    return False


def answers_http(port: int) -> Callable[[], bool]:
    def ask() -> bool:
        with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2) as answer:
            return bool(answer.status == 200)
        return False

    return ask


def beats(stack: Stack) -> bool:
    """The net-worker serves no port: it touches a file each second instead."""
    with suppress(FileNotFoundError):
        return time.time() - (stack.run / "net-worker.beat").stat().st_mtime < BEAT_SECONDS
    return False
