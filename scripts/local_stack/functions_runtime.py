"""Edge functions without Docker: one Deno process per function, started at its first call."""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
import subprocess
import sysconfig
import time
import tomllib
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dotenv import dotenv_values

from .processes import start_time
from .settings import FUNCTION_PORTS, Stack

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
START_SECONDS = 60.0  # the first start of all downloads the pinned npm packages
STOP_SECONDS = 1.5
# A function sees no more of the developer's environment than Deno itself needs to fetch its packages.
INHERITED = (
    *("HOME", "PATH", "TMPDIR", "NPM_CONFIG_REGISTRY", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"),
    *("DENO_CERT", "DENO_TLS_CA_STORE", "NODE_EXTRA_CA_CERTS", "SSL_CERT_DIR", "SSL_CERT_FILE"),
)


class FunctionNotFound(Exception):  # noqa: N818 -- part of the gateway's vocabulary
    """There is no such function, or config.toml has switched it off."""


class FunctionFailed(Exception):  # noqa: N818
    """The function's process could not be started; the message is the last it said."""


@dataclass
class Served:
    """One function: its process if it has one, and the source that the process was started from."""

    name: str
    process: subprocess.Popen[bytes] | None = None
    port: int = 0
    source: object = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def alive(self) -> bool:
        # A killed process may be dead some time before its last thread lets it be reaped.
        return self.process is not None and self.process.poll() is None and start_time(self.process.pid) is not None


class FunctionsRuntime:
    """Keeps the functions of one folder (supabase/functions by default) running."""

    def __init__(self, stack: Stack, *, functions: Path | None = None) -> None:
        self._stack = stack
        self._functions = functions if functions is not None else stack.repository / "supabase" / "functions"
        self._served: dict[str, Served] = {}
        self._config: tuple[int, dict[str, Any]] = (-1, {})

    def verify_jwt(self, name: str) -> bool:
        """Whether the gateway must check a token before it calls the function; true unless config.toml says no."""
        return bool(self._configuration(name).get("verify_jwt", True))

    async def port_for(self, name: str) -> int:
        """The loopback port where the function listens; starts it, or starts it again, where that is needed.

        Raises FunctionNotFound and FunctionFailed.
        """
        if not NAME.fullmatch(name) or not (self._functions / name / "index.ts").is_file():
            raise FunctionNotFound(name)
        if not self._configuration(name).get("enabled", True):
            raise FunctionNotFound(name)
        served = self._served.setdefault(name, Served(name))
        async with served.lock:
            source = self._fingerprint(name)
            if not served.alive or served.source != source:
                await stop(served)
                await self._start(served)
                served.source = source
        return served.port

    async def close(self) -> None:
        """End every process."""
        await asyncio.gather(*(stop(served) for served in self._served.values()))

    async def _start(self, served: Served) -> None:
        served.port = self._free_port()
        log = self._stack.logs / f"function-{served.name}.log"
        log_start = log.stat().st_size if log.exists() else 0
        served.process = self._spawn(served, log)
        deadline = time.monotonic() + START_SECONDS
        while not listens(served.port):
            if not served.alive:
                raise FunctionFailed(f"{served.name} ended while it started: {reason(log, log_start)}")
            if time.monotonic() > deadline:
                await stop(served)
                raise FunctionFailed(f"{served.name} did not listen within {START_SECONDS:.0f} s; see {log.name}")
            await asyncio.sleep(0.02)

    def _spawn(self, served: Served, log: Path) -> subprocess.Popen[bytes]:
        log.parent.mkdir(parents=True, exist_ok=True)
        command = [
            # The kernel ends the function with the gateway, however the gateway ends.
            *("setpriv", "--pdeathsig", "KILL", "--"),
            str(Path(sysconfig.get_path("scripts")) / "deno"),
            *("run", "--quiet", "--no-prompt", "--allow-net", "--allow-env", f"--allow-read={self._functions}"),
            str(self._functions / served.name / "index.ts"),
        ]
        with log.open("ab") as out:
            return subprocess.Popen(
                command,
                cwd=self._functions,
                env=self._environment(served.port),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )

    def _environment(self, port: int) -> dict[str, str]:
        """What a hosted function finds, the developer's settings for functions, the stack's secrets, and Deno's."""
        stack, keys = self._stack, self._stack.keys
        return {
            **{name: os.environ[name] for name in INHERITED if name in os.environ},
            **{
                name: value
                for file in self._settings
                for name, value in dotenv_values(file).items()
                if value is not None
            },
            "SUPABASE_URL": stack.api_url,
            "SUPABASE_DB_URL": stack.database_url(),
            "SUPABASE_ANON_KEY": keys.anon,
            "SUPABASE_SERVICE_ROLE_KEY": keys.service_role,
            "SUPABASE_PUBLISHABLE_KEY": keys.publishable,
            "SUPABASE_SECRET_KEY": keys.secret,
            "SUPABASE_PUBLISHABLE_KEYS": json.dumps({"default": keys.publishable}),
            "SUPABASE_SECRET_KEYS": json.dumps({"default": keys.secret}),
            "DENO_DIR": str(stack.cache / "deno"),
            "DENO_NO_UPDATE_CHECK": "1",
            "DENO_SERVE_ADDRESS": f"tcp:127.0.0.1:{port}",
            "NO_COLOR": "1",
        }

    @property
    def _settings(self) -> tuple[Path, Path]:
        """What stands for `supabase secrets set`: the file that the Supabase CLI reads too, then the stack's own."""
        return self._functions / ".env", self._stack.state / "functions.env"

    def _configuration(self, name: str) -> dict[str, Any]:
        """The table [functions.NAME] of config.toml as it is now."""
        file = self._functions.parent / "config.toml"
        try:
            modified = file.stat().st_mtime_ns
        except FileNotFoundError:
            return {}
        if self._config[0] != modified:
            self._config = (modified, tomllib.loads(file.read_text(encoding="utf-8")).get("functions", {}))
        configuration: dict[str, Any] = self._config[1].get(name, {})
        return configuration

    def _fingerprint(self, name: str) -> object:
        """Changes whenever a file changes that the function's process was started from."""
        files = [*self._settings, *self._functions.glob("deno.*")]
        for folder in (self._functions / name, self._functions / "_shared"):
            files += sorted(file for file in folder.rglob("*") if file.is_file())
        seen = []
        for file in files:
            with suppress(FileNotFoundError):
                status = file.stat()
                seen.append((str(file), status.st_mtime_ns, status.st_size))
        return seen

    def _free_port(self) -> int:
        taken = {served.port for served in self._served.values() if served.alive}
        first = self._stack.ports.functions
        for port in range(first, first + FUNCTION_PORTS):
            if port not in taken and is_free(port):
                return port
        raise FunctionFailed(f"none of the ports {first} to {first + FUNCTION_PORTS - 1} is free")


async def stop(served: Served) -> None:
    if served.process is None:
        return
    deadline = time.monotonic() + STOP_SECONDS
    served.process.terminate()
    while served.process.poll() is None:
        if time.monotonic() > deadline:
            served.process.kill()
        await asyncio.sleep(0.01)
    served.process = None


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def reason(log: Path, start: int) -> str:
    """Why Deno ended: its own `error:` line among what was logged from the byte `start` on."""
    lines = log.read_bytes()[start:].decode("utf-8", "replace").strip().splitlines()
    errors = [line for line in lines if line.startswith("error")]
    return (errors or lines or ["it wrote nothing"])[0].strip()
