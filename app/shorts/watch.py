"""Trends as they are detected, through Realtime: each once and in order, whatever happens to the connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any

from ..client import Client
from ..errors import OndolError, UnexpectedAnswerError
from ..realtime import FIRST_DELAY_SECONDS, BroadcastSource, Moment, follow, pause_seconds
from .api import AnyTrend, ShortsApi, Trend, TrendNews, TrendRow
from .calls import Row, checked

__all__ = ["watch_trends"]

TREND_BROADCAST = BroadcastSource(topic="trends", event="trend")
WHOLE_TREND_BROADCAST = BroadcastSource(topic="trends:premium", event="trend")
QUIET_SECONDS = 30.0
TRENDS_PER_CALL = 100


class HeldTier(Row):
    """A tier that a person has right now."""

    tier: str


async def watch_trends(
    client: Client,
    *,
    cursor: int | None = None,
    full: bool | None = None,
    region: str | None = None,
    on_subscribed: Callable[[], None] | None = None,
    on_lost: Callable[[OndolError], None] | None = None,
    on_missed: Callable[[int], None] | None = None,
    max_attempts: int | None = None,
    quiet_seconds: float = QUIET_SECONDS,
    first_delay_seconds: float = FIRST_DELAY_SECONDS,
) -> AsyncGenerator[Trend, None]:
    """Yield each trend that is new or has changed, once and in order, until the iterator is closed.

    It begins after `cursor`, the `cursor` of the last trend that was handled; without one it begins now. What is not
    heard, because the connection was lost or a message was, is fetched with `trends_since`, at the latest after
    `quiet_seconds` in which nothing was heard.

    The secret key and signed-in premium users hear whole trends (TrendRow), others what everybody may know. `full`
    insists on one of the two.

    `on_subscribed` is told each time when everything so far has been yielded and what comes next will be heard;
    `on_lost` why a subscription was lost or a call failed, either of which is done again, see `app.follow`; `on_missed`
    the cursor after which trends are lost, as they were no longer kept: it goes on with the oldest that is.
    """
    api = ShortsApi(client)
    position = -1 if cursor is None else cursor

    async def source() -> BroadcastSource:
        whole = await _has_premium(client) if full is None else full
        return WHOLE_TREND_BROADCAST if whole else TREND_BROADCAST

    async def fetch() -> AsyncGenerator[TrendNews, None]:
        since, failures = cursor if position < 0 else position, 0
        while True:
            try:
                page = await api.trends_since(since, limit=TRENDS_PER_CALL)
            except OndolError as error:
                failures += 1
                if not error.is_transient or (max_attempts is not None and failures >= max_attempts):
                    raise
                if on_lost is not None:
                    on_lost(error)
                await asyncio.sleep(pause_seconds(failures, first=first_delay_seconds))
                continue
            failures = 0
            if page.missed and on_missed is not None and since is not None:
                on_missed(since)
            yield page
            if page.is_complete:
                return
            since = page.cursor

    heard = follow(
        source,
        client=client,
        quiet_seconds=quiet_seconds,
        on_lost=on_lost,
        max_attempts=max_attempts,
        first_delay_seconds=first_delay_seconds,
    )
    async with aclosing(heard):
        async for message in heard:
            trend = None if isinstance(message, Moment) else _trend_of(message)
            if trend is None or _place(trend) > position + 1:
                async with aclosing(fetch()) as pages:
                    async for page in pages:
                        for fetched in page.trends:
                            position = _place(fetched)
                            if region in (None, fetched.region_code):
                                yield _as_wanted(fetched, full)
                        position = page.cursor
            # A message may be heard a moment before a query sees its trend.
            if trend is not None and _place(trend) == position + 1:
                position = _place(trend)
                if region in (None, trend.region_code):
                    yield _as_wanted(trend, full)
            if message is Moment.SUBSCRIBED and on_subscribed is not None:
                on_subscribed()


async def _has_premium(client: Client) -> bool:
    """Whether the policies on realtime.messages let this client hear whole trends, by the server's clock."""
    if client.key == client.settings.secret_key:
        return True
    if await client.access_token() is None:
        return False
    held = (
        client.supabase.table("user_tiers")
        .select("tier")
        .in_("tier", ["premium", "pro", "enterprise"])
        .or_("expires_at.is.null,expires_at.gt.now")
    )
    return bool(checked(await client.run("user_tiers", held.execute()), list[HeldTier], "user_tiers"))


def _trend_of(payload: dict[str, Any]) -> Trend:
    trend: Trend = checked(payload, AnyTrend, "watch_trends")  # type: ignore[arg-type]
    return trend


def _place(trend: Trend) -> int:
    if trend.cursor is None:
        raise UnexpectedAnswerError("cursor: Field required", doing="watch_trends")
    return trend.cursor


def _as_wanted(trend: Trend, full: bool | None) -> Trend:
    if full and not isinstance(trend, TrendRow):
        raise UnexpectedAnswerError("the trend is not whole", doing="watch_trends")
    if full is False:
        return Trend.model_validate(trend.model_dump())
    return trend
