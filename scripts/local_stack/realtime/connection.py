"""One websocket: frames in, frames out, and the channels between."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from aiohttp import WSCloseCode, WSMsgType, web

from .channel import Channel, Limit
from .protocol import Frame, Message, ProtocolError, decode, encode

if TYPE_CHECKING:
    from .service import Service

MOST_CHANNELS = 100
MOST_JOINS = 500  # per second
MOST_BACKLOG = 64_000_000  # bytes that a client may fall behind before it is dropped
CONTROL = "phoenix"


class Connection:
    """Reads until the client goes; a broken frame is ignored, whatever it is."""

    def __init__(self, service: Service, socket: web.WebSocketResponse, *, vsn: int, token: str) -> None:
        self.service = service
        self.vsn = vsn
        self.token = token
        self._socket = socket
        self._channels: dict[str, Channel] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._outgoing: asyncio.Queue[Frame] = asyncio.Queue()
        self._backlog = 0
        self._joins = Limit(MOST_JOINS, 1.0)

    @property
    def channels(self) -> list[Channel]:
        return list(self._channels.values())

    async def run(self) -> None:
        writer = asyncio.create_task(self._write())
        try:
            async for message in self._socket:
                if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                    continue
                try:
                    self._handle(decode(message.data, vsn=self.vsn))
                except ProtocolError as error:
                    print(f"realtime: ignored a frame: {error}", file=sys.stderr)
        except TimeoutError:
            pass  # neither a heartbeat nor anything else
        finally:
            for task in (writer, *self._tasks):
                task.cancel()
            await asyncio.gather(writer, *self._tasks, return_exceptions=True)
            with suppress(ConnectionError):
                await self._socket.close()

    async def close(self) -> None:
        await self._socket.close(code=WSCloseCode.GOING_AWAY)

    def send(self, frame: Frame) -> None:
        """Put a frame in line; a client that reads too slowly is dropped rather than kept in memory."""
        self._backlog += len(frame)
        if self._backlog <= MOST_BACKLOG:
            self._outgoing.put_nowait(frame)
        elif self._backlog - len(frame) <= MOST_BACKLOG:
            print("realtime: dropped a client that does not read", file=sys.stderr)
            self._start(self._socket.close(code=WSCloseCode.TRY_AGAIN_LATER))

    def forget(self, channel: Channel) -> None:
        if self._channels.get(channel.topic) is channel:
            del self._channels[channel.topic]

    def _handle(self, message: Message) -> None:
        channel = self._channels.get(message.topic)
        if message.topic == CONTROL:
            self._reply(message, status="ok" if message.event == "heartbeat" else "error")
        elif message.event == "phx_join":
            self._join(message, replaced=channel)
        elif channel is not None:
            self._hand_over(channel, message)
        elif message.event == "phx_leave":
            self._reply(message, status="ok")
        else:
            self._reply(message, status="error", reason="unmatched topic")

    def _hand_over(self, channel: Channel, message: Message) -> None:
        try:
            channel.inbox.put_nowait(message)
        except asyncio.QueueFull:
            self._reply(message, status="error", reason="too many messages are waiting")

    def _join(self, message: Message, *, replaced: Channel | None) -> None:
        if replaced is not None:
            # A second join of a topic ends the first, as Phoenix does.
            self._hand_over(replaced, Message(message.topic, "phx_leave", {}, None, None))
        elif len(self._channels) >= MOST_CHANNELS:
            self._reply(message, status="error", reason="ChannelRateLimitReached: Too many channels")
            return
        if not self._joins.allows():
            self._reply(message, status="error", reason="ClientJoinRateLimitReached: Too many joins per second")
            return
        channel = self._channels[message.topic] = Channel(self, message)
        self._start(channel.run())

    def _start(self, work: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _reply(self, message: Message, *, status: str, reason: str | None = None) -> None:
        payload = {"status": status, "response": {} if reason is None else {"reason": reason}}
        self.send(encode(message.topic, "phx_reply", payload, vsn=self.vsn, ref=message.ref, join_ref=message.join_ref))

    async def _write(self) -> None:
        while True:
            frame = await self._outgoing.get()
            try:
                if isinstance(frame, bytes):
                    await self._socket.send_bytes(frame)
                else:
                    await self._socket.send_str(frame)
            except ConnectionError:
                return
            self._backlog -= len(frame)
