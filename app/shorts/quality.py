"""How good a video is and where it plays. Scoring is for the service; where a video plays anybody may ask."""

from __future__ import annotations

from typing import Any, TypedDict

from .calls import Caller

__all__ = ["AiAnalysis", "AiScores", "QualityApi"]


class AiAnalysis(TypedDict):
    """What an AI says of a video, all three; `emotions` are numbers by name. At most 65,536 characters as JSON."""

    categories: list[str]
    keywords: list[str]
    emotions: dict[str, float]


class AiScores(TypedDict, total=False):
    """What an AI makes of a video, each 0 to 1. What is left out stays as it is; nothing is invented for it."""

    content_quality_score: float
    thumbnail_attractiveness: float
    title_effectiveness: float
    viral_potential: float
    audio_quality: float
    video_quality: float
    relevance_score: float
    overall_quality_score: float


class QualityApi(Caller):
    """The part of `ShortsApi` that is about one video."""

    async def calculate_quality_score(self, video_id: str, *, analysis_version: str = "v1.0") -> float:
        """Score the video from its counts and views anew; returns the overall score, 0 to 1. For the service.

        Raises NotFoundError (PT404) for an unknown video, InvalidRequestError (PT400) for a version that is no
        text of 1 to 20 characters.
        """
        arguments = {"video_id": video_id, "analysis_version": analysis_version}
        return await self._call("calculate_quality_score", arguments, answer=float)

    async def set_ai_analysis(
        self,
        video_id: str,
        *,
        analysis: AiAnalysis,
        analysis_version: str = "v1.0",
        confidence: float | None = None,
        scores: AiScores | None = None,
    ) -> bool:
        """Store what an AI says of the video: the document whole, its scores in the one row of that version.

        The same again changes nothing. `confidence` is 0 to 1; what is None stays as it is. False when the document
        of a higher version is there and kept; the scores are stored all the same. For the service.

        Raises NotFoundError (PT404) for an unknown video, InvalidRequestError (PT400) for an incomplete analysis, an
        unknown score, a figure that is not 0 to 1, or a version that is no text of 1 to 20 characters.
        """
        arguments: dict[str, Any] = {"video_id": video_id, "analysis": analysis, "analysis_version": analysis_version}
        given = {"confidence": confidence, "scores": scores}
        arguments |= {name: value for name, value in given.items() if value is not None}
        return await self._call("set_ai_analysis", arguments, answer=bool)

    async def is_playable_in(self, video_id: str, *, region: str) -> bool:
        """Whether the video, which the caller must be allowed to see, plays in `region` (ISO 3166, such as KR).

        Raises InvalidRequestError (PT400) for a region that is no code of two capital letters.
        """
        return await self._call("is_playable_in", {"video_id": video_id, "region": region}, answer=bool)
