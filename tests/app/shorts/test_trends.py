"""What is sent to read the strongest trends, and what comes back."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from app.errors import UnexpectedAnswerError
from app.shorts.trends import TopTrend

from .test_activity import Backend

TREND: dict[str, Any] = {
    "keyword": "두바이쫀득쿠키",
    "region_code": "KR",
    "data_source": "youtube_api",
    "trend_score": 0.93,
    "velocity": 0.04,
    "growth_rate": 800,
    "search_volume": 8,
    "category": "Howto & Style",
    "category_korean": "노하우/스타일",
    "related_keywords": ["피스타치오", "카다이프"],
    "regional_popularity": {"KR": 0.8, "US": 0.0, "JP": 0.1, "global": 0.2195},
    "source_confidence": 0.9,
    "time_slot": "morning",
    "predicted_peak_time": "2026-07-10T03:00:00+00:00",
    "predicted_duration": "30:00:00",
    "detected_at": "2026-07-10T00:24:48+00:00",
    "expires_at": "2026-07-10T04:24:48+00:00",
}


async def test_a_region_and_a_part_of_the_day_are_asked_for() -> None:
    """S-254."""
    backend = Backend(top_trends=[TREND])
    found = await backend.use(lambda api: api.top_trends("JP", slot="morning"))
    assert backend.asked == [("top_trends", {"region": "JP", "slot": "morning"})]
    assert found == [TopTrend.model_validate(TREND)]
    assert found[0].predicted_duration == timedelta(hours=30)
    assert found[0].regional_popularity["global"] == 0.2195


async def test_without_words_it_is_korea_now() -> None:
    unknown = dict.fromkeys(("category", "category_korean", "related_keywords", "predicted_peak_time"))
    backend = Backend(top_trends=[TREND | unknown | {"predicted_duration": None}])
    found = await backend.use(lambda api: api.top_trends())
    assert backend.asked == [("top_trends", {"region": "KR", "slot": None})]
    assert [trend.related_keywords for trend in found] == [None]


async def test_another_form_of_answer_is_named() -> None:
    backend = Backend(top_trends=[TREND | {"time_slot": "noon"}])
    with pytest.raises(UnexpectedAnswerError, match="time_slot"):
        await backend.use(lambda api: api.top_trends())
