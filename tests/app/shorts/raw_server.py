"""A server that says exactly the bytes it is told to, whatever HTTP thinks of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress


@asynccontextmanager
async def saying(answer: bytes, *, then: bytes = b"", every: float = 0.0) -> AsyncIterator[str]:
    """Its address; each request is answered with `answer`, and with `then` every so many seconds for ever."""

    stopped = asyncio.Event()
    answering: list[asyncio.Task[None] | None] = []

    async def answer_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answering.append(asyncio.current_task())
        with suppress(OSError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            await writer.drain()
            while then and not stopped.is_set():
                await asyncio.sleep(every)
                writer.write(then)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer_one, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        stopped.set()
        await asyncio.gather(*filter(None, answering))
