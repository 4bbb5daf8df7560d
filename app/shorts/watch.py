"""Trends as they are detected, through Realtime."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable

from pydantic import ValidationError

from ..client import Client
from ..errors import OndolError, UnexpectedAnswerError
from ..realtime import BroadcastSource, ChangesSource, Source, listen
from .api import Trend, TrendRow

__all__ = ["watch_trends"]

TREND_BROADCAST = BroadcastSource(topic="trends", event="trend")
FULL_TRENDS = ChangesSource(table="trending_keywords")


async def watch_trends(
    client: Client,
    *,
    full: bool | None = None,
    region: str | None = None,
    on_subscribed: Callable[[], None] | None = None,
    on_lost: Callable[[OndolError], None] | None = None,
    max_attempts: int | None = None,
) -> AsyncGenerator[Trend, None]:
    """Yield each trend that is new or has risen, until the iterator is closed.

    `full` yields whole rows (TrendRow), which the secret key and signed-in premium users may see; otherwise the
    broadcast for everybody. By default whole rows, when the client has the secret key or somebody is signed in. A lost
    subscription is made again, see `app.listen`; `on_subscribed` is the moment to refetch with `trending_now`.
    """
    if full is None:
        full = client.key == client.settings.secret_key or await client.access_token() is not None
    source: Source = FULL_TRENDS if full else TREND_BROADCAST
    model = TrendRow if full else Trend
    payloads = listen(source, client=client, on_subscribed=on_subscribed, on_lost=on_lost, max_attempts=max_attempts)
    try:
        async for payload in payloads:
            try:
                trend = model.model_validate(payload)
            except ValidationError as error:
                raise UnexpectedAnswerError(str(error.errors()[0]["msg"]), doing="watch_trends") from error
            if region is None or trend.region_code == region:
                yield trend
    finally:
        await payloads.aclose()
