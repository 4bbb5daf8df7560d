"""The form of every handler that takes data in: who sent it, then what it holds, then the room; each refusal named."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from app.errors import OndolError

from .answers import Ignored
from .requests import problem
from .room import Room, refusal
from .trend_events import WebhookError

logger = logging.getLogger("ondol.functions")

Open = Callable[[], Awaitable[Room]]
Read = Callable[[Request], Awaitable[Any]]
Store = Callable[[Room, Any], Awaitable[dict[str, Any]]]
Endpoint = Callable[[Request], Awaitable[Response]]

IGNORED = object()
"""What `read` returns for a genuine event of another type: answered 2xx, because a retry would change nothing."""


def inbound(name: str, *, read: Read, store: Store, open_room: Open) -> Endpoint:
    """An endpoint: `read` believes and checks a request or raises WebhookError, `store` writes what it returned."""

    async def endpoint(request: Request) -> Response:
        try:
            content = await read(request)
        except WebhookError as error:
            return problem(error.status, error.code, error.message, hint=error.hint)
        except TimeoutError:
            return problem(408, "too_slow", "The body did not arrive in time.", hint="Send it again.")
        except ClientDisconnect:
            return Response(status_code=400)  # nobody is left to read it
        if content is IGNORED:
            return JSONResponse(Ignored(ignored=True).model_dump())
        try:
            return JSONResponse(await store(await open_room(), content))
        except OndolError as error:
            status, code, message, hint = refusal(error)
            logger.warning("%s: %s: %s", name, code, error)
            return problem(status, code, message, hint=hint)

    return endpoint
