"""Scores, analyses and summaries through the gateway: who may write them, and what people are told."""

from __future__ import annotations

import pytest

from app import InvalidRequestError, NotAllowedError, NotFoundError
from app.shorts import AiAnalysis, ShortsApi
from scripts.local_stack.settings import Stack

from .people import connected, signed_up, stored_videos

ANALYSIS: AiAnalysis = {"categories": ["food"], "keywords": ["김치"], "emotions": {"joy": 0.5}}


async def test_s_032_the_service_replaces_an_analysis_and_scores_a_video(stack: Stack) -> None:
    """S-032, S-124: the document whole; a score from what is known, copied to the video."""
    async with stored_videos(stack, 1) as [video], connected(stack, as_service=True) as client:
        service = ShortsApi(client)
        await service.set_ai_analysis(video, analysis=ANALYSIS)
        await service.set_ai_analysis(video, analysis={**ANALYSIS, "categories": ["travel"]})
        assert await service.calculate_quality_score(video) == 0.0
        query = client.supabase.table("cached_videos").select("ai_analysis,quality_score").eq("video_id", video)
        assert (await query.execute()).data == [
            {"ai_analysis": {**ANALYSIS, "categories": ["travel"]}, "quality_score": 0.0}
        ]
        with pytest.raises(InvalidRequestError) as refused:
            await service.set_ai_analysis(video, analysis={"categories": ["food"]})  # type: ignore[typeddict-item]
        assert (refused.value.code, bool(refused.value.hint)) == ("PT400", True)
        with pytest.raises(NotFoundError) as unknown:
            await service.calculate_quality_score("nowhere")
        assert (unknown.value.code, bool(unknown.value.hint)) == ("PT404", True)


async def test_people_ask_and_do_not_score(stack: Stack) -> None:
    """S-033, S-142, S-143: where a video plays, one's own month, and nothing of what premium reads."""
    async with stored_videos(stack, 1) as [video], signed_up(stack) as person:
        assert await person.api.is_playable_in(video, region="KR")
        assert not await person.api.is_playable_in("nowhere", region="KR")
        with pytest.raises(InvalidRequestError) as refused:
            await person.api.is_playable_in(video, region="Korea")
        assert refused.value.code == "PT400"
        assert await person.api.my_activity() is None
        assert await person.api.category_trends() == []
        with pytest.raises(NotAllowedError):
            await person.api.set_ai_analysis(video, analysis=ANALYSIS)
        with pytest.raises(NotAllowedError):
            await person.api.calculate_quality_score(video)
