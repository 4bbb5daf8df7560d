"""The HTTP side: /health, the websocket, and broadcasts by POST."""

from __future__ import annotations

import asyncio
import signal
import sys
from typing import Any

import psycopg
from aiohttp import web

from ..errors import StackError
from ..listening import listen
from ..settings import Stack
from .channel import MOST_BROADCAST_BYTES
from .connection import Connection
from .identity import Identity, TokenError
from .protocol import Broadcast, ProtocolError, dump, load
from .service import Service

MOST_FRAME_BYTES = 5_000_000
MOST_IDLE = 90.0  # seconds; clients send a heartbeat every 25
VERSIONS = {"1.0.0": 1, "2.0.0": 2}


class Server:
    """Routes of one service."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def application(self) -> web.Application:
        application = web.Application(client_max_size=MOST_FRAME_BYTES)
        application.router.add_get("/health", self.health)
        for prefix in ("", "/realtime/v1"):
            application.router.add_get(f"{prefix}/websocket", self.websocket)
            application.router.add_post(f"{prefix}/api/broadcast", self.broadcast_batch)
            application.router.add_post(f"{prefix}/api/broadcast/{{topic}}/events/{{event}}", self.broadcast_one)
        return application

    async def health(self, _: web.Request) -> web.Response:
        """200 while changes flow from Postgres."""
        flowing = self._service.streaming.is_set()
        return web.json_response(
            {"status": "ok" if flowing else "waiting for Postgres"}, status=200 if flowing else 503
        )

    async def websocket(self, request: web.Request) -> web.StreamResponse:
        vsn = VERSIONS.get(request.query.get("vsn", "1.0.0"))
        if vsn is None:
            return web.json_response({"error": "vsn must be 1.0.0 or 2.0.0"}, status=400)
        key = request.query.get("apikey") or request.headers.get("apikey") or ""
        try:
            self._service.tokens.identify(key)
        except TokenError as error:
            return web.json_response({"error": error.message}, status=401)
        socket = web.WebSocketResponse(
            max_msg_size=MOST_FRAME_BYTES, receive_timeout=MOST_IDLE, compress=False, timeout=0.5
        )
        await socket.prepare(request)
        connection = Connection(self._service, socket, vsn=vsn, token=key)
        self._service.connections.add(connection)
        try:
            await connection.run()
        finally:
            self._service.connections.discard(connection)
        return socket

    async def broadcast_batch(self, request: web.Request) -> web.Response:
        """`{"messages": [{topic, event, payload, private}]}`; private ones the caller may not write are dropped."""
        try:
            identity = self._caller(request)
            content = load(await request.read())
            messages = content.get("messages") if isinstance(content, dict) else None
            if not isinstance(messages, list) or not all(is_message(message) for message in messages):
                raise ProtocolError("messages is a list of objects with topic, event and payload")
        except TokenError as error:
            return web.json_response({"message": error.message}, status=401)
        except ProtocolError as error:
            return web.json_response({"errors": {"messages": [str(error)]}}, status=422)
        for message in messages:
            sent = Broadcast.of(message["event"], dump(message["payload"]))
            await self._send(identity, message["topic"], sent, private=message.get("private") is True)
        return web.Response(status=202)

    async def broadcast_one(self, request: web.Request) -> web.Response:
        """The body is the payload: JSON, or bytes as application/octet-stream."""
        body = await request.read()
        try:
            identity = self._caller(request)
            payload: str | bytes = body
            if request.content_type != "application/octet-stream":
                payload = dump(load(body))
        except TokenError as error:
            return web.json_response({"message": error.message}, status=401)
        except ProtocolError as error:
            return web.json_response({"message": str(error)}, status=422)
        if len(body) > MOST_BROADCAST_BYTES:
            return web.json_response({"message": "Payload size exceeds the limit"}, status=422)
        sent = Broadcast.of(request.match_info["event"], payload)
        private = request.query.get("private") == "true"
        await self._send(identity, request.match_info["topic"], sent, private=private)
        return web.Response(status=202)

    def _caller(self, request: web.Request) -> Identity:
        """The user's token when there is one, else the API key; raises TokenError."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        return self._service.tokens.identify(token if scheme.lower() == "bearer" else request.headers.get("apikey", ""))

    async def _send(self, identity: Identity, topic: str, message: Broadcast, *, private: bool) -> None:
        if private:
            try:
                allowed = await self._service.is_role(identity.role)
                if not allowed or not (await self._service.authorisation.may_write(identity, topic)).broadcast:
                    return
            except psycopg.OperationalError:
                raise web.HTTPServiceUnavailable(text="Postgres is away") from None
        self._service.hub.broadcast(topic, message, private=private)


def is_message(message: Any) -> bool:
    return (
        isinstance(message, dict)
        and all(isinstance(message.get(name), str) and message[name] for name in ("topic", "event"))
        and isinstance(message.get("payload"), dict)
        and len(dump(message["payload"])) <= MOST_BROADCAST_BYTES
    )


async def serve(stack: Stack) -> None:
    """Listen on 127.0.0.1 until SIGTERM or SIGINT; raises StackError when the port is taken."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    service = Service(stack)
    runner = web.AppRunner(Server(service).application(), access_log=None, handle_signals=False, shutdown_timeout=0.5)
    await runner.setup()
    port = stack.ports.realtime
    try:
        await listen(runner, port)
    except (OSError, StackError):
        await runner.cleanup()
        raise
    print(f"realtime: listening on 127.0.0.1:{port}", file=sys.stderr, flush=True)
    streaming = asyncio.create_task(service.run())
    await ended.wait()
    streaming.cancel()
    async with asyncio.TaskGroup() as group:
        for connection in list(service.connections):
            group.create_task(connection.close())
    await runner.cleanup()
