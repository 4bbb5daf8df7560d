"""POST /webhooks/ai-analysis: what an AI says of one video, signed; kept whole with its version and confidence."""

from __future__ import annotations

from typing import Any, cast

from app.shorts.quality import AiScores

from .room import Room
from .told import AnalyzedEvent

MAX_BODY = 100_000  # bytes; the analysis itself may have 65,536 characters


async def store_analysis(room: Room, event: AnalyzedEvent) -> dict[str, Any]:
    """Replace what this version said of the video; the same again changes nothing.

    `stored` is 0 when the document of a higher version is there and kept.
    """
    data = event.data
    stored = await room.set_ai_analysis(
        data.video_id,
        analysis=data.analysis.model_dump(),
        analysis_version=data.analysis_version,
        confidence=data.confidence,
        scores=cast(AiScores | None, data.scores),  # the database knows which scores there are
    )
    return {"received": 1, "stored": int(stored), "rejected": []}
