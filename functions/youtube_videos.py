"""POST /webhooks/youtube-videos: what videos.list answered, signed; it becomes videos with keywords."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

from app.shorts.api import VideoInput
from app.shorts.keywords import add_keywords
from app.shorts.youtube import Unusable, video_input

from .room import Room
from .told import VideosBody

MAX_BODY = 1_000_000  # bytes; 50 videos of videos.list are about 200 kB


async def store_videos(room: Room, body: VideosBody) -> dict[str, Any]:
    """Store the videos as of when the sender signed them."""
    collected_at = datetime.fromtimestamp(body.signed_at, tz=UTC).isoformat()
    places: list[int] = []
    videos: list[VideoInput] = []
    rejected: list[dict[str, Any]] = []
    for index, resource in enumerate(body.items):
        found = video_input(resource, collected_at=collected_at)
        if isinstance(found, Unusable):
            rejected.append({"index": index, "code": found.code, "message": found.detail})
        else:
            places.append(index)
            videos.append(found)
    answer = {"received": len(body.items), "inserted": 0, "updated": 0, "unchanged": 0}
    if videos:
        stored = await room.ingest_videos(await asyncio.to_thread(add_keywords, videos))
        answer |= {"inserted": stored.inserted, "updated": stored.updated, "unchanged": stored.unchanged}
        rejected += [
            {"index": places[refused.index], "code": refused.code, "message": refused.message}
            for refused in stored.rejected
        ]
    return {**answer, "rejected": sorted(rejected, key=lambda refused: refused["index"])}
