"""The web board: builds web/ when its sources changed, and serves web/dist as a static host would.

`python -m scripts.local_stack.board STACK_JSON` serves until SIGTERM. The headers come from the build itself
(web/public/_headers, the form that static hosts read), with the stack's address in place of Supabase's.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from aiohttp import web

from .errors import StackError
from .listening import listen
from .settings import Stack

SOURCES = ("package-lock.json", "index.html", "tsconfig.json", "vite.config.ts", "src", "public")
TYPES = "supabase/database.types.ts"
BUILD_SECONDS = 180
SECONDS_TO_END = 1.0
HOSTED = ("https://*.supabase.co", "wss://*.supabase.co")
NOT_BUILT = "The board is not built yet. Build it with `npm ci && npm run build` in web/, or start ./scripts/dev.\n"


def build(repository: Path, say: Callable[[str], None]) -> None:
    """Make web/dist unless it was made of exactly these sources; raises StackError when it cannot be made."""
    folder = repository / "web"
    stamp = folder / "dist" / ".stamp"
    log = repository / ".local" / "setup" / "board.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made_of = digest(repository)
        if stamp.exists() and stamp.read_text(encoding="utf-8") == made_of:
            return
        say("building the board")
        with log.open("w", encoding="utf-8") as out:
            try:
                done = subprocess.run(
                    ["npm", "run", "build"],
                    cwd=folder,
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=subprocess.STDOUT,
                    timeout=BUILD_SECONDS,
                    check=False,
                )
                failed = done.returncode != 0
            except (OSError, subprocess.TimeoutExpired):
                failed = True
        if failed:
            raise StackError("The board could not be built.", next_step=f"Mend what {log} names, then run it again.")
        stamp.write_text(made_of, encoding="utf-8")


def digest(repository: Path) -> str:
    """What the build is made of, as one text: names and contents."""
    made_of = hashlib.sha256()
    for file in sources(repository):
        made_of.update(f"{file.relative_to(repository)}\0".encode())
        made_of.update(hashlib.sha256(file.read_bytes()).digest())
    return made_of.hexdigest()


def sources(repository: Path) -> Iterator[Path]:
    for name in SOURCES:
        path = repository / "web" / name
        yield from sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    yield repository / TYPES


class Board:
    """Serves one folder of static files, and where its data comes from."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._files = (stack.repository / "web" / "dist").resolve()

    def application(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/health", self._health)
        app.router.add_get("/config.json", self._config)
        app.router.add_get("/{path:.*}", self._file)
        app.on_response_prepare.append(self._add_headers)
        return app

    async def _health(self, _: web.Request) -> web.Response:
        return web.json_response({"status": "ok", "stack": self._stack.name})

    async def _config(self, _: web.Request) -> web.Response:
        """The settings that a build for a hosted project has as a file."""
        return web.json_response({"url": self._stack.api_url, "publishableKey": self._stack.keys.publishable})

    async def _file(self, request: web.Request) -> web.StreamResponse:
        if not (self._files / "index.html").is_file():
            return web.Response(status=503, text=NOT_BUILT)
        file = (self._files / (request.match_info["path"] or "index.html")).resolve()
        if not self._is_public(file):
            return web.Response(status=404, text="Not found.\n")
        return web.FileResponse(file)

    def _is_public(self, file: Path) -> bool:
        """A file of the build; what begins with a dot or an underscore speaks to the host, not to a browser."""
        if not file.is_relative_to(self._files) or not file.is_file():
            return False
        return not any(part.startswith((".", "_")) for part in file.relative_to(self._files).parts)

    async def _add_headers(self, request: web.Request, answer: web.StreamResponse) -> None:
        # Read at each answer: a build that ends while this runs is served as it is.
        file = self._files / "_headers"
        if file.is_file():
            answer.headers.update(headers_for(request.path, file.read_text(encoding="utf-8"), self._stack.api_url))


def headers_for(path: str, text: str, api_url: str) -> dict[str, str]:
    """The headers that a `_headers` file gives to `path`, later rules over earlier ones."""
    found: dict[str, str] = {}
    applies = False
    for line in text.splitlines():
        if line.startswith("/"):
            pattern = line.strip()
            applies = path.startswith(pattern[:-1]) if pattern.endswith("*") else path == pattern
        elif applies and ":" in line:
            name, _, value = line.partition(":")
            found[name.strip()] = local(value.strip(), api_url)
    return found


def local(value: str, api_url: str) -> str:
    """A header's value with this stack's addresses in place of a hosted project's."""
    return value.replace(HOSTED[0], api_url).replace(HOSTED[1], api_url.replace("http", "ws", 1))


async def serve(stack: Stack) -> None:
    """Listen on 127.0.0.1 until SIGTERM or SIGINT; raises StackError when the port is taken."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    runner = web.AppRunner(
        Board(stack).application(), access_log=None, handle_signals=False, shutdown_timeout=SECONDS_TO_END
    )
    await runner.setup()
    try:
        await listen(runner, stack.ports.board)
        print(f"board: listening on {stack.board_url}", flush=True)
        await ended.wait()
    finally:
        await runner.cleanup()


if __name__ == "__main__":
    try:
        asyncio.run(serve(Stack.load(Path(sys.argv[1]))))
    except StackError as error:
        sys.exit(f"board: {error}")
