"""Passing requests, answers and websockets on to the parts, as streams and unchanged."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from urllib.parse import unquote_plus

import aiohttp
from aiohttp import ClientWebSocketResponse, WSMsgType, web
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from .answers import Refused, part_down

# Headers of one connection; they mean nothing on the next.
HOP_BY_HOP = frozenset(
    {
        "connection",
        "expect",
        "host",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
WEBSOCKET = frozenset({"sec-websocket-key", "sec-websocket-version", "sec-websocket-extensions", "origin"})
KEEP_ALIVE_SECONDS = 3  # shorter than Node's 5: a request never meets a connection that the part is closing
CONNECT_SECONDS = 5
LONGEST_LINE = 65_536  # a filter on some hundred ids is a long URL
LARGEST_MESSAGE = 16 * 1024 * 1024


def client_session() -> aiohttp.ClientSession:
    """The connections to the parts: kept alive, no limit on their number, nothing added to what passes."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE_SECONDS, use_dns_cache=False),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
        max_line_size=LONGEST_LINE,
        max_field_size=LONGEST_LINE,
    )


class Proxy:
    """Forwards to 127.0.0.1; a part that is down or restarting is a 503, never a hang or a 500."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session
        self._sockets: set[web.WebSocketResponse] = set()

    async def stream(
        self,
        request: web.Request,
        *,
        part: str,
        port: int,
        path: str,
        headers: CIMultiDict[str],
        answer_headers: Mapping[str, str],
    ) -> web.StreamResponse:
        """Forward the request to `path` (with query) and its answer back, chunk by chunk."""
        async with self.exchange(request, part=part, port=port, path=path, headers=headers) as upstream:
            answer = web.StreamResponse(
                status=upstream.status, reason=upstream.reason, headers=end_to_end(upstream.headers)
            )
            answer.headers.update(answer_headers)
            await answer.prepare(request)
            try:
                async for chunk in upstream.content.iter_any():
                    await answer.write(chunk)
            except (aiohttp.ClientError, OSError):
                # Cut the connection: a shortened body must not look complete.
                if request.transport is not None:
                    request.transport.abort()
                return answer
            await answer.write_eof()
            return answer

    async def fetch(
        self,
        request: web.Request,
        *,
        part: str,
        port: int,
        path: str,
        headers: CIMultiDict[str],
        limit: int,
        body: bytes | None = None,
    ) -> tuple[int, CIMultiDict[str], bytes]:
        """Forward the request (`body` in place of its own) and read all of an answer of up to `limit` bytes."""
        async with self.exchange(request, part=part, port=port, path=path, headers=headers, body=body) as upstream:
            received = bytearray()
            try:
                async for chunk in upstream.content.iter_any():
                    received += chunk
                    if len(received) > limit:
                        raise part_down(part)
            except (aiohttp.ClientError, OSError):
                raise part_down(part) from None
            return upstream.status, end_to_end(upstream.headers), bytes(received)

    @asynccontextmanager
    async def exchange(
        self,
        request: web.Request,
        *,
        part: str,
        port: int,
        path: str,
        headers: CIMultiDict[str],
        body: bytes | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send the request on and give the part's answer with its body unread."""
        own = request.content if request.body_exists else None
        try:
            upstream = await self._session.request(
                request.method,
                part_url(port, path),
                headers=headers,
                data=own if body is None else body,
                allow_redirects=False,
            )
        except (aiohttp.ClientError, OSError):
            raise part_down(part) from None
        try:
            yield upstream
        finally:
            # What was not read to its end cannot be reused.
            if upstream.content.at_eof():
                upstream.release()
            else:
                upstream.close()

    async def websocket(
        self, request: web.Request, *, part: str, port: int, path: str, headers: CIMultiDict[str]
    ) -> web.StreamResponse:
        """Join the client's websocket to the part's, text and binary, until either end closes."""
        for name in WEBSOCKET:
            headers.popall(name, None)
        asked = [name.strip() for name in headers.pop("sec-websocket-protocol", "").split(",") if name.strip()]
        try:
            upstream = await self._session.ws_connect(
                part_url(port, path),
                headers=headers,
                protocols=asked,
                max_msg_size=LARGEST_MESSAGE,
                compress=0,
                autoclose=False,
            )
        except aiohttp.WSServerHandshakeError as refused:
            raise Refused(refused.status, {"message": refused.message}) from None
        except (aiohttp.ClientError, OSError):
            raise part_down(part) from None
        client = web.WebSocketResponse(
            protocols=[upstream.protocol] if upstream.protocol else [],
            max_msg_size=LARGEST_MESSAGE,
            compress=False,
            autoclose=False,
        )
        try:
            await client.prepare(request)
            self._sockets.add(client)
            await join(client, upstream)
        finally:
            self._sockets.discard(client)
            await upstream.close()
        return client

    async def close_websockets(self) -> None:
        """Tell every client to come back later, so that a stop does not wait for them."""
        going_away = [socket.close(code=aiohttp.WSCloseCode.GOING_AWAY) for socket in list(self._sockets)]
        await asyncio.gather(*going_away, return_exceptions=True)


async def join(client: web.WebSocketResponse, upstream: ClientWebSocketResponse) -> None:
    pumps = {asyncio.create_task(pump(client, upstream)), asyncio.create_task(pump(upstream, client))}
    try:
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in pumps:
            task.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)


Socket = web.WebSocketResponse | ClientWebSocketResponse


async def pump(source: Socket, target: Socket) -> None:
    """Copy messages one way, then the closing code."""
    with suppress(ConnectionError):
        async for message in source:
            if message.type is WSMsgType.TEXT:
                await target.send_str(message.data)
            elif message.type is WSMsgType.BINARY:
                await target.send_bytes(message.data)
            else:
                break
    code = source.close_code
    with suppress(ConnectionError):
        await target.close(code=code if code and code not in (1005, 1006, 1015) else aiohttp.WSCloseCode.OK)
        await source.close()


def part_url(port: int, path: str) -> URL:
    return URL(f"http://127.0.0.1:{port}{path}", encoded=True)


def end_to_end(headers: CIMultiDictProxy[str]) -> CIMultiDict[str]:
    """The headers that concern both ends, and none of the connection's own."""
    named = {name.strip().lower() for value in headers.getall("Connection", []) for name in value.split(",")}
    return CIMultiDict(
        (name, value) for name, value in headers.items() if name.lower() not in HOP_BY_HOP and name.lower() not in named
    )


def forwarded(request: web.Request) -> CIMultiDict[str]:
    """The client's headers with X-Forwarded-*, as a part behind a gateway sees them."""
    headers = end_to_end(request.headers)
    host = request.headers.get("Host", "127.0.0.1")
    headers["X-Forwarded-For"] = request.remote or "127.0.0.1"
    headers["X-Forwarded-Host"] = host
    headers["X-Forwarded-Port"] = host.rpartition(":")[2] if ":" in host else "80"
    headers["X-Forwarded-Proto"] = "http"
    return headers


def without_parameter(path: str, name: str, *, value: str | None = None) -> str:
    """`path` without the query parameter, every other one as it came; `value` takes its place when given."""
    path, _, query = path.partition("?")
    kept = [pair for pair in query.split("&") if pair and unquote_plus(pair.partition("=")[0]) != name]
    if value is not None:
        kept.append(f"{name}={value}")
    return f"{path}?{'&'.join(kept)}" if kept else path
