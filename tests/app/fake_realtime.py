"""A Realtime server for tests: speaks the wire protocol on loopback, and does on demand what a bad day does."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed


class FakeRealtime:
    """Joins are kept in `joins`; `refusals` is how many of the next joins are refused, `silent` answers none.

    Without `streams` a joined channel hears of no changes until `stream` is called.
    """

    def __init__(self) -> None:
        self.url = ""
        self.joins: list[dict[str, Any]] = []
        self.requests: list[str] = []
        self.refusals = 0
        self.silent = False
        self.streams = True
        self.sockets: list[ServerConnection] = []
        self.closed = 0
        self.empty = asyncio.Event()
        self.joined = asyncio.Event()

    async def handle(self, socket: ServerConnection) -> None:
        self.requests.append(socket.request.path if socket.request else "")
        self.sockets.append(socket)
        self.empty.clear()
        try:
            async for text in socket:
                await self.answer(socket, json.loads(text))
        except ConnectionClosed:
            pass
        finally:
            self.sockets.remove(socket)
            self.closed += 1
            if not self.sockets:
                self.empty.set()

    async def answer(self, socket: ServerConnection, message: dict[str, Any]) -> None:
        if message["event"] != "phx_join" or self.silent:
            return
        self.joins.append(message)
        response: dict[str, Any]
        if self.refusals:
            self.refusals -= 1
            status, response = "error", {"reason": "not today"}
        else:
            wanted = message["payload"]["config"]["postgres_changes"]
            status, response = "ok", {"postgres_changes": [{"id": i, **row} for i, row in enumerate(wanted, start=1)]}
        reply = {"event": "phx_reply", "topic": message["topic"], "ref": message["ref"]}
        await socket.send(json.dumps({**reply, "payload": {"status": status, "response": response}}))
        if status == "ok":
            if self.streams and response["postgres_changes"]:
                await self.stream(message["topic"].removeprefix("realtime:"))
            self.joined.set()

    async def stream(self, topic: str) -> None:
        """Say that changes are heard from now on."""
        said = {
            "extension": "postgres_changes",
            "status": "ok",
            "message": "Subscribed to PostgreSQL",
            "channel": topic,
        }
        await self.send(topic, "system", said)

    async def broadcast(self, topic: str, event: str, payload: dict[str, Any]) -> None:
        await self.send(topic, "broadcast", {"type": "broadcast", "event": event, "payload": payload})

    async def change(self, topic: str, kind: str, record: dict[str, Any], *, ids: list[int]) -> None:
        data = {
            "schema": "public",
            "table": "trending_keywords",
            "commit_timestamp": "2026-07-10T00:00:00Z",
            "type": kind,
            "errors": None,
            "columns": [{"name": name, "type": "text"} for name in record],
            "record": record,
        }
        await self.send(topic, "postgres_changes", {"ids": ids, "data": data})

    async def channel_error(self, topic: str) -> None:
        await self.send(topic, "phx_error", {})

    async def drop(self) -> None:
        """Cut every connection as a crash does, and wait for the next join."""
        self.joined.clear()
        for socket in list(self.sockets):
            socket.transport.abort()
        await asyncio.wait_for(self.joined.wait(), 5)

    async def send(self, topic: str, event: str, payload: dict[str, Any]) -> None:
        message = {"topic": f"realtime:{topic}", "event": event, "payload": payload, "ref": None}
        for socket in self.sockets:
            await socket.send(json.dumps(message))


@asynccontextmanager
async def fake_realtime() -> AsyncIterator[FakeRealtime]:
    fake = FakeRealtime()
    async with serve(fake.handle, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        fake.url = f"http://127.0.0.1:{port}"
        yield fake
