"""The shorts room as the handlers reach it: one client with the secret key, opened at first use."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any, Protocol

from app.client import Client
from app.config import Secret
from app.config import Settings as ClientSettings
from app.errors import OndolError, RequestError
from app.shorts.api import Ingested, ShortsApi, SignalInput, VideoInput
from app.shorts.quality import AiScores
from app.shorts.told_trends import ToldTrend

from .settings import Settings

TIMEOUT = 10.0  # seconds for one call; senders wait at least 15
REFUSALS = {400, 413, 422}  # any other answer is about this handler's key or the service, not about what was sent


class Room(Protocol):
    """What handlers ask of the room; ShortsApi is one."""

    async def ingest_videos(self, videos: list[VideoInput], /) -> Ingested: ...

    async def ingest_keyword_signals(self, signals: list[SignalInput], /) -> Ingested: ...

    async def known_videos(self, video_ids: Sequence[str], /) -> set[str]: ...

    async def queue_videos(self, videos: Sequence[Any], /) -> Any: ...

    async def upsert_trending_keywords(self, trends: Sequence[ToldTrend], /) -> Ingested: ...

    async def set_ai_analysis(
        self,
        video_id: str,
        /,
        *,
        analysis: Any,
        analysis_version: str,
        confidence: float | None,
        scores: AiScores | None,
    ) -> bool: ...


class Door:
    """Opens the room once, however many ask at the same time."""

    def __init__(self, settings: Settings) -> None:
        secret = Secret(settings.supabase_secret_key)
        self._client = Client(
            ClientSettings(url=settings.supabase_url, publishable_key=secret, timeout_seconds=TIMEOUT), key=secret
        )
        self._stack = AsyncExitStack()
        self._lock = asyncio.Lock()
        self._room: ShortsApi | None = None

    async def open(self) -> Room:
        async with self._lock:
            if self._room is None:
                self._room = ShortsApi(await self._stack.enter_async_context(self._client))
        return self._room

    async def close(self) -> None:
        await self._stack.aclose()


def refusal(error: OndolError) -> tuple[int, str, str, str]:
    """Status, code, message and hint of what the room answered; its own words stay in the log."""
    if isinstance(error, RequestError):
        if error.code == "PT404":
            return 404, "unknown_video", "The video is not known.", "Send the video first, then this again."
        if error.status in REFUSALS:
            return 400, "refused", "The database refuses what was sent.", "Check the fields; docs/webhooks.md has them."
    return 503, "unavailable", "The database could not be asked.", "Send the same again later; nothing is doubled."
