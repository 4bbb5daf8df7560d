"""Scores, analyses and summaries through the gateway: who may write them, and what people are told."""

from __future__ import annotations

from uuid import uuid4

import pytest

from app import InvalidRequestError, NotAllowedError, NotFoundError
from app.shorts import AiAnalysis, ChannelInput, ShortsApi
from scripts.local_stack.settings import Stack

from .people import connected, found, signed_up, stored_videos

pytestmark = pytest.mark.usefixtures("without_purge")

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


async def test_s_124_known_counts_give_an_exact_rate_and_shrunk_ones_beside_it(stack: Stack) -> None:
    """S-124: (150 + 50) / 2000 to the last digit; what ranks is drawn to what is usual."""
    async with stored_videos(stack, 2) as [video, small], connected(stack, as_service=True) as client:
        service = ShortsApi(client)
        table = client.supabase.table("cached_videos")
        counts = {"view_count": 2000, "like_count": 150, "comment_count": 50}
        await table.update(counts).eq("video_id", video).execute()
        await table.update({"view_count": 2, "like_count": 1, "comment_count": 0}).eq("video_id", small).execute()
        assert await service.calculate_quality_score(video) == 0.025
        assert await service.calculate_quality_score(small) == 0.125
        scores = {
            row["video_id"]: row
            for row in await found(
                client.supabase.table("video_quality_scores").select("*").in_("video_id", [video, small])
            )
        }
        assert scores[video]["engagement_rate"] == 0.1
        assert scores[video]["engagement_score"] == pytest.approx((200 + 3) / 2100)
        assert scores[video]["like_score"] == pytest.approx(0.0642535, abs=1e-7)
        assert scores[small]["engagement_rate"] == 0.5
        assert scores[small]["engagement_score"] == pytest.approx((1 + 3) / 102)
        unsaid = ("viral_potential", "thumbnail_attractiveness", "title_effectiveness", "content_quality_score")
        assert [scores[video][name] for name in unsaid] == [0, 0, 0, 0]
        assert [scores[video][name] for name in ("audio_quality", "video_quality", "retention_score")] == [None] * 3


async def test_s_217_an_answer_is_stored_whole_and_once_a_version(stack: Stack) -> None:
    """S-217: twice with v1.0 is one row; a new version is a second one, and a late one changes nothing that counts."""
    async with stored_videos(stack, 1) as [video], connected(stack, as_service=True) as client:
        service = ShortsApi(client)

        async def rows() -> list[dict[str, object]]:
            table = client.supabase.table("video_quality_scores")
            columns = "analysis_version,confidence_level,content_quality_score,updated_at"
            stored = await found(table.select(columns).eq("video_id", video).order("analysis_version"))
            return list(stored)

        first = {"analysis": ANALYSIS, "confidence": 0.9, "scores": {"content_quality_score": 0.5}}
        assert await service.set_ai_analysis(video, **first)  # type: ignore[arg-type]
        once = await rows()
        assert await service.set_ai_analysis(video, **first)  # type: ignore[arg-type]
        assert await rows() == once
        assert [(row["analysis_version"], row["confidence_level"]) for row in once] == [("v1.0", 0.9)]

        newer: AiAnalysis = {**ANALYSIS, "categories": ["travel"]}
        assert await service.set_ai_analysis(
            video, analysis=newer, analysis_version="v2.0", scores={"content_quality_score": 1.0}
        )
        assert not await service.set_ai_analysis(video, analysis=ANALYSIS, scores={"content_quality_score": 0.1})
        assert [row["content_quality_score"] for row in await rows()] == [0.1, 1.0]
        table = client.supabase.table("cached_videos").select("ai_analysis,quality_score")
        assert await found(table.eq("video_id", video)) == [{"ai_analysis": newer, "quality_score": 0.3}]

        computed = {"engagement_rate": 1.0}
        with pytest.raises(InvalidRequestError) as refused:
            await service.set_ai_analysis(video, analysis=newer, scores=computed)  # type: ignore[arg-type]
        assert (refused.value.code, "viral_potential" in str(refused.value.hint)) == ("PT400", True)


async def test_channels_come_in_once_and_are_the_services_alone(stack: Stack) -> None:
    """S-013, S-051: a batch may be repeated, bad rows are named, people write none."""
    channel: ChannelInput = {
        "channel_id": f"UC{uuid4().hex[:20]}",
        "title": "하나",
        "collected_at": "2026-01-02T00:00:00Z",
        "subscriber_count": 1000,
    }
    async with connected(stack, as_service=True) as client, signed_up(stack) as person:
        service = ShortsApi(client)
        bad: ChannelInput = {**channel, "subscriber_count": -1}
        answer = await service.ingest_channels([channel, bad])
        assert (answer.inserted, [(row.index, row.code) for row in answer.rejected]) == (1, [(1, "ON007")])
        assert (await service.ingest_channels([channel])).unchanged == 1
        with pytest.raises(NotAllowedError):
            await person.api.ingest_channels([channel])
        seen = await person.rows("cached_channels", "channel_id,subscriber_count,trust_score")
        mine = [row for row in seen if row["channel_id"] == channel["channel_id"]]
        assert mine == [{"channel_id": channel["channel_id"], "subscriber_count": 1000, "trust_score": 0.5}]
        await client.supabase.table("cached_channels").delete().eq("channel_id", channel["channel_id"]).execute()


async def test_people_ask_and_do_not_score(stack: Stack) -> None:
    """S-033, S-142, S-143, S-254: where a video plays, one's own month, and nothing of what premium reads."""
    async with stored_videos(stack, 1) as [video], signed_up(stack) as person:
        assert await person.api.is_playable_in(video, region="KR")
        assert not await person.api.is_playable_in("nowhere", region="KR")
        with pytest.raises(InvalidRequestError) as refused:
            await person.api.is_playable_in(video, region="Korea")
        assert refused.value.code == "PT400"
        assert await person.api.my_activity() is None
        assert await person.api.category_trends() == []
        assert await person.api.top_trends() == []
        with pytest.raises(NotAllowedError):
            await person.api.set_ai_analysis(video, analysis=ANALYSIS)
        with pytest.raises(NotAllowedError):
            await person.api.calculate_quality_score(video)
