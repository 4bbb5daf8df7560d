"""POST /webhooks/ai-analysis: what an AI says of one video, signed; kept whole with its version and confidence."""

from __future__ import annotations

from typing import Any

from .room import Room
from .told import AnalyzedEvent

MAX_BODY = 100_000  # bytes; the analysis itself may have 65,536 characters


async def store_analysis(room: Room, event: AnalyzedEvent) -> dict[str, Any]:
    """Replace what this version said of the video; the same again changes nothing."""
    data = event.data
    await room.set_ai_analysis(
        data.video_id,
        analysis=data.analysis.model_dump(),
        analysis_version=data.analysis_version,
        confidence=data.confidence,
        scores=data.scores,
    )
    return {"received": 1, "stored": 1, "rejected": []}
