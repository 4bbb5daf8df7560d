"""What is sent to keep a trend that others told, and what comes back."""

from __future__ import annotations

import pytest

from app.errors import UnexpectedAnswerError
from app.shorts.batches import Ingested, Rejection
from app.shorts.told_trends import ToldTrend, UpsertedTrend

from .test_api import Backend

TREND = ToldTrend(
    keyword="두바이쫀득쿠키",
    region_code="KR",
    data_source="bright_data",
    trend_score=0.9,
    observed_at="2026-07-10T00:24:48+00:00",
)


async def test_one_trend() -> None:
    backend = Backend({"id": "0b7c0f2e", "inserted": True, "added_next_year": 1})
    assert await backend.ask("upsert_trending_keyword", TREND) == UpsertedTrend(id="0b7c0f2e", inserted=True)
    assert backend.request.url.path == "/rest/v1/rpc/upsert_trending_keyword"
    assert backend.body == {"trend": TREND}


async def test_many_trends() -> None:
    refused = {"index": 1, "code": "ON007", "message": "trend_score is not a number from 0 to 1"}
    backend = Backend({"received": 2, "inserted": 1, "updated": 0, "unchanged": 0, "rejected": [refused]})
    answer = await backend.ask("upsert_trending_keywords", (TREND, TREND))
    assert answer == Ingested(
        received=2, inserted=1, updated=0, unchanged=0, rejected=[Rejection.model_validate(refused)]
    )
    assert backend.request.url.path == "/rest/v1/rpc/upsert_trending_keywords"
    assert backend.body == {"trends": [TREND, TREND]}


async def test_another_form_of_answer_is_named() -> None:
    with pytest.raises(UnexpectedAnswerError, match="upsert_trending_keyword"):
        await Backend({"id": 1}).ask("upsert_trending_keyword", TREND)
