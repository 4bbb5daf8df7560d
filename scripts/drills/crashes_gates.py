"""Where the drill can stop a delivery: HTTP gates between the parts, and locks that backends wait for."""

from __future__ import annotations

import http.client
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Protocol

import psycopg

from scripts.local_stack.settings import Stack

ARRIVED, ANSWERED = "arrived", "answered"
LOCKS = 8  # the first half of every advisory lock of crashes.sql
HELD_AT_MOST = 60.0  # seconds; a drill that died must not leave a part waiting
FORWARD_TIMEOUT = 30.0  # seconds
WAITS_FOR_LOCK = """
    select pid
    from pg_locks
    where locktype = 'advisory' and classid = %s and objid = %s and not granted
    limit 1
"""


class Hold(Protocol):
    """One stop: whoever comes by next waits until it is let go."""

    def reached(self) -> bool: ...

    def let_go(self) -> None: ...


class GateHold:
    """Stops the next request of a gate, before or after it was passed on."""

    def __init__(self, when: str) -> None:
        self.when = when
        self.is_taken = False
        self._reached, self._free = threading.Event(), threading.Event()

    def reached(self) -> bool:
        return self._reached.is_set()

    def let_go(self) -> None:
        self._free.set()

    def wait(self) -> None:
        self._reached.set()
        self._free.wait(HELD_AT_MOST)


class Gate:
    """Passes requests on to one loopback port, counts them by webhook-id, and stops one when it is told to."""

    def __init__(self, target: int, *, path: str = "") -> None:
        self.target = target
        self.path = path
        self.seen: Counter[str] = Counter()
        self._hold: GateHold | None = None
        self._lock = threading.Lock()
        gate = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                gate.pass_on(self)

            do_GET = do_POST  # noqa: N815 -- the name that http.server looks for

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- named so by http.server
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def arm(self, when: str) -> GateHold:
        hold = GateHold(when)
        with self._lock:
            self._hold = hold
        return hold

    def close(self) -> None:
        with self._lock:
            hold, self._hold = self._hold, None
        if hold is not None:
            hold.let_go()
        self._server.shutdown()
        self._server.server_close()

    def pass_on(self, request: BaseHTTPRequestHandler) -> None:
        """As a cable would: what breaks on one side is a broken connection on the other."""
        request.close_connection = True
        with suppress(OSError, http.client.HTTPException):
            body = request.rfile.read(int(request.headers.get("content-length") or 0))
            if webhook_id := request.headers.get("webhook-id"):
                with self._lock:
                    self.seen[webhook_id] += 1
            hold = self._take(request.path)
            if hold is not None and hold.when == ARRIVED:
                hold.wait()
            connection = http.client.HTTPConnection("127.0.0.1", self.target, timeout=FORWARD_TIMEOUT)
            try:
                headers = {name: value for name, value in request.headers.items() if name.lower() != "connection"}
                connection.request(request.command, request.path, body, headers)
                answer = connection.getresponse()
                content = answer.read()
            finally:
                connection.close()
            if hold is not None and hold.when == ANSWERED:
                hold.wait()
            request.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in ("connection", "transfer-encoding", "content-length", "server", "date"):
                    request.send_header(name, value)
            request.send_header("content-length", str(len(content)))
            request.end_headers()
            request.wfile.write(content)

    def _take(self, path: str) -> GateHold | None:
        """The hold, for the first request that it is meant for."""
        with self._lock:
            hold = self._hold
            if hold is None or hold.is_taken or self.path not in path:
                return None
            hold.is_taken = True
            return hold


class LockHold:
    """Stops every backend that reaches one of the triggers of crashes.sql."""

    def __init__(self, stack: Stack, moment: int) -> None:
        self._stack, self._moment = stack, moment
        self._holder = psycopg.connect(stack.database_url("supabase_admin"), autocommit=True)
        self._holder.execute("select pg_advisory_lock(%s, %s)", (LOCKS, moment))

    def reached(self) -> bool:
        return self.waiting_backend() is not None

    def waiting_backend(self) -> int | None:
        row = self._holder.execute(WAITS_FOR_LOCK, (LOCKS, self._moment)).fetchone()
        return None if row is None else int(row[0])

    def let_go(self) -> None:
        """Closing the session frees its locks; a killed Postgres has forgotten them already."""
        with suppress(psycopg.Error):
            self._holder.close()


@contextmanager
def held(hold: Hold, *, seconds: float, meanwhile: Callable[[], None]) -> Iterator[bool]:
    """Yield whether somebody reached the hold in time; let them go afterwards."""
    try:
        deadline = time.monotonic() + seconds
        while not (is_reached := hold.reached()) and time.monotonic() < deadline:
            meanwhile()
            time.sleep(0.01)
        yield is_reached
    finally:
        hold.let_go()
