"""How good a video is and where it plays. Scoring is for the service; where a video plays anybody may ask."""

from __future__ import annotations

from typing import TypedDict

from .calls import Caller

__all__ = ["AiAnalysis", "QualityApi"]


class AiAnalysis(TypedDict):
    """What an AI says of a video, all three; `emotions` are numbers by name. At most 65,536 characters as JSON."""

    categories: list[str]
    keywords: list[str]
    emotions: dict[str, float]


class QualityApi(Caller):
    """The part of `ShortsApi` that is about one video."""

    async def calculate_quality_score(self, video_id: str, *, analysis_version: str = "v1.0") -> float:
        """Score the video from its counts and views anew; returns the overall score, 0 to 1. For the service.

        Raises NotFoundError (PT404) for an unknown video, InvalidRequestError (PT400) for a version that is no
        text of 1 to 20 characters.
        """
        arguments = {"video_id": video_id, "analysis_version": analysis_version}
        return await self._call("calculate_quality_score", arguments, answer=float)

    async def set_ai_analysis(self, video_id: str, *, analysis: AiAnalysis) -> None:
        """Replace what the AI says of the video, whole; the same again changes nothing. For the service.

        Raises NotFoundError (PT404) for an unknown video, InvalidRequestError (PT400) for an incomplete analysis.
        """
        await self.client.call("set_ai_analysis", {"video_id": video_id, "analysis": analysis})

    async def is_playable_in(self, video_id: str, *, region: str) -> bool:
        """Whether the video, which the caller must be allowed to see, plays in `region` (ISO 3166, such as KR).

        Raises InvalidRequestError (PT400) for a region that is no code of two capital letters.
        """
        return await self._call("is_playable_in", {"video_id": video_id, "region": region}, answer=bool)
