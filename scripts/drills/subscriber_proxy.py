"""A TCP proxy that cuts its connections on demand: a reset, as when a network goes away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

SUBSCRIPTION = b"GET /realtime/v1/websocket"


class Proxy:
    """Passes on what comes to `port`; `subscribed` is set while a Realtime connection stands."""

    def __init__(self, to_port: int) -> None:
        self.port = 0
        self.cuts = 0
        self.subscribed = asyncio.Event()
        self._to_port = to_port
        self._writers: set[asyncio.StreamWriter] = set()

    def cut(self) -> None:
        """Reset every connection."""
        self.cuts += 1
        self.subscribed.clear()
        for writer in self._writers:
            writer.transport.abort()

    async def pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self._to_port)
        pair = {writer, there_writer}
        self._writers |= pair
        ways = [
            asyncio.create_task(self._copy(reader, there_writer)),
            asyncio.create_task(self._copy(there_reader, writer)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)  # one end is closed: so is the other
        finally:
            self._writers -= pair
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            for each in pair:
                each.transport.abort()

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            if data.startswith(SUBSCRIPTION):
                self.subscribed.set()
            writer.write(data)
            await writer.drain()


@asynccontextmanager
async def proxy_to(port: int) -> AsyncIterator[Proxy]:
    proxy = Proxy(port)
    async with await asyncio.start_server(proxy.pass_on, "127.0.0.1", 0) as server:
        proxy.port = server.sockets[0].getsockname()[1]
        yield proxy
        server.close()
        proxy.cut()
