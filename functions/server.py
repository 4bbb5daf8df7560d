"""The HTTP rim of the handlers: reads a request, asks `verify` and `receive`, answers JSON.

`uvicorn functions.server:app` serves it with settings from the environment.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from . import ai_analysis, bright_data, trends, youtube_videos
from .answers import Healthy, Ignored, Recorded, Tested
from .inbound import Endpoint, Open, Read, Store, inbound
from .openapi import document
from .receipts import Receipts, Refused, Unavailable
from .requests import problem, read_body
from .room import Door
from .settings import Settings, SettingsError
from .told import AnalyzedEvent, TrendsEvent, VideosBody, signed
from .trend_events import TrendEvent, WebhookError, verify

TEST_TYPE = "webhook.test"
logger = logging.getLogger("ondol.functions")


class Receive(Protocol):
    """Records an event by its webhook id; True when it was there before."""

    def __call__(self, webhook_id: str, *, event: dict[str, Any]) -> Awaitable[bool]: ...


def create_app(
    settings: Settings,
    *,
    receive: Receive,
    open_room: Open | None = None,
    clock: Callable[[], float] = time.time,
    close: Callable[[], Awaitable[None]] | None = None,
) -> Starlette:
    """Build the application; `close` is awaited when it stops.

    open_room: gives the room to the handlers that take data in; a handler is there when its secret is set.
    """

    def trend_handler(wanted: str, secrets: Sequence[str]) -> Endpoint:
        async def endpoint(request: Request) -> Response:
            try:
                body = await read_body(request)
                event = verify(request.headers, body, secrets=secrets, now=clock(), wanted=wanted)
            except WebhookError as error:
                return problem(error.status, error.code, error.message, hint=error.hint)
            except TimeoutError:
                return problem(408, "too_slow", "The body did not arrive in time.", hint="Send it again.")
            except ClientDisconnect:
                return Response(status_code=400)  # nobody is left to read it
            if event.type == TEST_TYPE:
                return JSONResponse(Tested(test=True).model_dump())
            if not isinstance(event, TrendEvent):
                # 2xx, because a retry would change nothing: a sender may have types that are newer than this handler.
                return JSONResponse(Ignored(ignored=True).model_dump())
            try:
                duplicate = await receive(event.webhook_id, event=event.content)
            except Refused as error:
                logger.warning("%s refused: %s", event.webhook_id, error)
                return problem(400, "refused", "The database refuses this event.", hint="Check the fields of data.")
            except Unavailable as error:
                logger.warning("%s not recorded: %s", event.webhook_id, error)
                return problem(503, "unavailable", "The event could not be recorded.", hint="Send the same id again.")
            return JSONResponse(Recorded(duplicate=duplicate).model_dump())

        return endpoint

    async def health(request: Request) -> Response:
        return JSONResponse(Healthy(status="ok").model_dump())

    async def openapi(request: Request) -> Response:
        """What this server answers: a handler that is not open is not in it."""
        return JSONResponse(document({route.path for route in app.routes if isinstance(route, Route)}))

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        if close:
            await close()

    notify_trend = trend_handler("trend.detected", settings.webhook_secrets)
    trend_update = trend_handler("trend.updated", settings.update_secrets)
    app = Starlette(
        routes=[
            Route("/webhooks/notify-trend", notify_trend, methods=["POST"]),
            Route("/webhooks/trend-update", trend_update, methods=["POST"]),
            *(inbound_routes(settings, open_room=open_room, clock=clock) if open_room else []),
            Route("/health", health, methods=["GET"]),
            Route("/openapi.json", openapi, methods=["GET"]),
        ],
        exception_handlers={HTTPException: http_problem, Exception: unexpected_problem},
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False  # a webhook sender treats every 3xx as a failure
    return app


def inbound_routes(settings: Settings, *, open_room: Open, clock: Callable[[], float]) -> list[Route]:
    """The handlers that take data in, each only when there is a secret for its senders."""
    wanted: list[tuple[str, Read, Store]] = []
    if secrets := settings.youtube_secrets:
        read = signed(VideosBody, secrets=secrets, clock=clock, limit=youtube_videos.MAX_BODY)
        wanted.append(("youtube-videos", read, youtube_videos.store_videos))
    if secrets := settings.trends_secrets:
        read = signed(TrendsEvent, secrets=secrets, clock=clock, limit=trends.MAX_BODY, event="trends.observed")
        wanted.append(("trends", read, trends.store_trends))
    if secrets := settings.ai_secrets:
        read = signed(AnalyzedEvent, secrets=secrets, clock=clock, limit=ai_analysis.MAX_BODY, event="video.analyzed")
        wanted.append(("ai-analysis", read, ai_analysis.store_analysis))
    if tokens := settings.bright_data_tokens:
        wanted.append(("bright-data", bright_data.delivery(tokens=tokens, clock=clock), bright_data.store_delivery))
    return [
        Route(f"/webhooks/{name}", inbound(name, read=read, store=store, open_room=open_room), methods=["POST"])
        for name, read, store in wanted
    ]


async def http_problem(request: Request, error: Exception) -> Response:
    """404 and 405, in the same shape."""
    assert isinstance(error, HTTPException)  # by its registration above
    code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "http_error")
    answer = problem(error.status_code, code, f"{error.detail}.", hint="functions/README.md lists what there is.")
    answer.headers.update(error.headers or {})
    return answer


async def unexpected_problem(request: Request, error: Exception) -> Response:
    """A mistake of ours: logged by the server, and told without details."""
    return problem(500, "internal", "The handler failed.", hint="Send the same id again later.")


def from_environment() -> Starlette:
    """The application that the environment describes; exits with one sentence when it does not."""
    try:
        settings = Settings.from_environment(os.environ)
    except SettingsError as error:
        raise SystemExit(f"The webhook handler cannot start: {error}") from None
    receipts = Receipts(settings.supabase_url, secret_key=settings.supabase_secret_key)
    door = Door(settings)

    async def close() -> None:
        await receipts.close()
        await door.close()

    return create_app(settings, receive=receipts.receive, open_room=door.open, close=close)


def __getattr__(name: str) -> Starlette:
    # `app` is built when a server asks for it, so that importing this module needs no environment.
    if name == "app":
        return from_environment()
    raise AttributeError(name)
