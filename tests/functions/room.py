"""The room in memory, as the handlers that take data in see it; `error` comes instead of an answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from app.shorts.batches import Ingested
from functions.settings import Settings
from tests.app.shorts.fakes import FakeShorts

from .signing import SECRET

TOKEN = "bright-data-token-0123456789"
SETTINGS = Settings(
    supabase_url="https://abc.supabase.co",
    supabase_secret_key="k",
    webhook_secrets=(SECRET,),
    youtube_secrets=(SECRET,),
    trends_secrets=(SECRET,),
    ai_secrets=(SECRET,),
    bright_data_tokens=(TOKEN,),
)


class FakeRoom(FakeShorts):
    """Keeps what handlers store, each thing once, as the database does."""

    def __init__(self) -> None:
        super().__init__()
        self.error: Exception | None = None
        self.queued: dict[str, Any] = {}
        self.told: list[Any] = []
        self.analyses: dict[tuple[str, str], dict[str, Any]] = {}

    async def open(self) -> FakeRoom:
        return self

    def check(self) -> None:
        if self.error:
            raise self.error

    async def known_videos(self, video_ids: Sequence[str]) -> set[str]:
        self.check()
        return set()

    async def queue_videos(self, videos: Sequence[Any]) -> None:
        self.check()
        self.queued |= {video["video_id"]: video for video in videos}

    async def ingest_videos(self, videos: Any) -> Ingested:
        self.check()
        return await super().ingest_videos(videos)

    async def upsert_trending_keywords(self, trends: Sequence[Any]) -> Ingested:
        self.check()
        new = [trend for trend in trends if trend not in self.told]
        self.told += new
        return Ingested(
            received=len(trends), inserted=len(new), updated=0, unchanged=len(trends) - len(new), rejected=[]
        )

    async def set_ai_analysis(self, video_id: str, *, analysis_version: str, **given: Any) -> bool:
        self.check()
        self.analyses[video_id, analysis_version] = given
        return True

    @property
    def is_empty(self) -> bool:
        return not (self.videos or self.signals or self.queued or self.told or self.analyses)
