"""POST /webhooks/trends: trends that somebody observed, signed; they become open trends of their source."""

from __future__ import annotations

from typing import Any

from .room import Room
from .told import TrendsEvent

MAX_BODY = 256_000  # bytes


async def store_trends(room: Room, event: TrendsEvent) -> dict[str, Any]:
    """Keep them all in one call; what cannot be taken comes back by its index."""
    answer = await room.upsert_trending_keywords(event.data.trends)
    return answer.model_dump()
