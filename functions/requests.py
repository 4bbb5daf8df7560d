"""What every handler needs of HTTP: a body within limits, and answers of one shape."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import JSONResponse

from .trend_events import MAX_BODY, TooLarge

BODY_TIMEOUT = 10.0  # seconds for a whole body: slower than any real sender
RETRY_AFTER = 30  # seconds


async def read_body(request: Request, *, limit: int = MAX_BODY) -> bytes:
    """Return the whole body, or raise TooLarge as soon as it is known to be too long."""
    body = bytearray()
    async with asyncio.timeout(BODY_TIMEOUT):
        async for chunk in stream_body(request, limit=limit):
            body += chunk
    return bytes(body)


async def stream_body(request: Request, *, limit: int) -> AsyncIterator[bytes]:
    """The body as it comes; raises TooLarge before a byte beyond `limit` is given."""
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and len(announced) < 20 and int(announced) > limit:
        raise TooLarge(limit)
    length = 0
    async for chunk in request.stream():
        length += len(chunk)
        if length > limit:
            raise TooLarge(limit)
        yield chunk


def problem(status: int, code: str, message: str, *, hint: str) -> JSONResponse:
    """An error in the shape that every client of this handler gets."""
    answer = JSONResponse({"code": code, "message": message, "hint": hint}, status_code=status)
    if status == 503:
        answer.headers["retry-after"] = str(RETRY_AFTER)
    return answer
