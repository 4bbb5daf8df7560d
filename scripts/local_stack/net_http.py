"""One queued request of pg_net's stand-in, sent as libcurl would send it and described in libcurl's words."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace

import aiohttp

USER_AGENT = "pg_net/0.20.4"
FOLLOW_REDIRECTS = False
# What aiohttp adds of its own and libcurl does not.
NOT_LIBCURLS = ("Accept-Encoding", "Content-Type", "User-Agent")


@dataclass(frozen=True)
class Request:
    """A row of net.http_request_queue."""

    id: int
    method: str
    url: str
    headers: Mapping[str, object] | None
    body: bytes | None
    timeout_milliseconds: int


@dataclass(frozen=True)
class Response:
    """A row of net._http_response, `created` excepted."""

    id: int
    status_code: int | None = None
    content_type: str | None = None
    headers: dict[str, str] | None = None
    content: str | None = None
    timed_out: bool = False
    error_msg: str | None = None


@dataclass
class Timings:
    """When the steps of one request were over, in seconds of the event loop's clock; 0 if not reached."""

    started: float = field(default_factory=lambda: asyncio.get_running_loop().time())
    resolved: float = 0.0
    connected: float = 0.0


def new_session() -> aiohttp.ClientSession:
    """A client without limits of its own: pg_net's batch size is the only one."""
    trace = aiohttp.TraceConfig()

    async def resolved(_: aiohttp.ClientSession, context: SimpleNamespace, __: object) -> None:
        context.trace_request_ctx.resolved = asyncio.get_running_loop().time()

    async def connected(_: aiohttp.ClientSession, context: SimpleNamespace, __: object) -> None:
        context.trace_request_ctx.connected = asyncio.get_running_loop().time()

    trace.on_dns_resolvehost_end.append(resolved)
    trace.on_connection_create_end.append(connected)
    return aiohttp.ClientSession(
        # A kept connection that its server has closed meanwhile would fail a POST that never left.
        connector=aiohttp.TCPConnector(limit=0, force_close=True),
        timeout=aiohttp.ClientTimeout(total=None),
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        skip_auto_headers=NOT_LIBCURLS,
        trace_configs=[trace],
    )


async def send(session: aiohttp.ClientSession, request: Request) -> Response:
    """Send `request` and describe its end; only cancellation is raised."""
    if request.timeout_milliseconds <= 0:
        return Response(request.id, error_msg="timeout_milliseconds must be 1 or more")
    timings = Timings()
    try:
        async with asyncio.timeout(request.timeout_milliseconds / 1000):
            return await exchange(session, request, timings)
    except TimeoutError:
        return Response(request.id, timed_out=True, error_msg=timeout_text(request.timeout_milliseconds, timings))
    except (aiohttp.ClientError, OSError, ValueError) as error:
        return Response(request.id, error_msg=libcurl_text(error))


async def exchange(session: aiohttp.ClientSession, request: Request, timings: Timings) -> Response:
    async with session.request(
        request.method.upper(),
        request.url,
        headers=libcurl_headers(request),
        data=request.body,
        allow_redirects=FOLLOW_REDIRECTS,
        trace_request_ctx=timings,
    ) as answer:
        content = (await answer.read()).decode("utf-8", "replace").partition("\0")[0]
        return Response(
            request.id,
            status_code=answer.status,
            content_type=storable(answer.headers.get("Content-Type")),
            headers={str(name): storable(value) or "" for name, value in answer.headers.items()},
            content=content or None,
        )


def storable(header: str | None) -> str | None:
    """A header's value without the bytes that Postgres would refuse as text."""
    return None if header is None else header.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def libcurl_headers(request: Request) -> list[tuple[str, str]]:
    """The request's own headers over libcurl's; null ones are left out."""
    headers = [("Accept", "*/*")]
    if request.body is not None:
        headers.append(("Content-Type", "application/x-www-form-urlencoded"))
    headers += [(name, json_text(value)) for name, value in (request.headers or {}).items() if value is not None]
    headers.append(("User-Agent", USER_AGENT))
    return list({name.lower(): (name, value) for name, value in headers}.values())


def json_text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)


def libcurl_text(error: Exception) -> str:
    """The sentence that libcurl has for `error`, without anything of the request in it."""
    match error:
        case aiohttp.NonHttpUrlClientError():
            return "Unsupported protocol"
        case aiohttp.InvalidURL():
            return "URL using bad/illegal format or missing URL"
        case aiohttp.ClientConnectorCertificateError():
            return "SSL peer certificate or SSH remote key was not OK"
        case aiohttp.ClientConnectorSSLError():
            return "SSL connect error"
        case aiohttp.ClientConnectorDNSError():
            return "Could not resolve hostname"
        case aiohttp.ClientConnectorError():
            return "Could not connect to server"
        case aiohttp.ServerDisconnectedError():
            return "Server returned nothing (no headers, no data)"
        case aiohttp.ClientPayloadError():
            return "Transferred a partial file"
        case ValueError():
            return "A header contains a carriage return or line feed"
        case _:
            return "Failure when receiving data from the peer"


def timeout_text(milliseconds: int, timings: Timings) -> str:
    """pg_net's sentence about a timeout: at which step the time was spent."""
    now = asyncio.get_running_loop().time()
    resolved = timings.resolved or timings.started
    connected = timings.connected or now
    return (
        f"Timeout of {milliseconds} ms reached. Total time: {(now - timings.started) * 1000:f} ms "
        f"(DNS time: {(resolved - timings.started) * 1000:f} ms, "
        f"TCP/SSL handshake time: {(connected - resolved) * 1000:f} ms, "
        f"HTTP Request/Response time: {(now - connected) * 1000:f} ms)"
    )
