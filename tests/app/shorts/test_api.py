from __future__ import annotations

import inspect
import json
import re
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from app.client import Client
from app.config import Secret, Settings
from app.errors import UnexpectedAnswerError
from app.shorts.api import ShortsApi, Trend, TrendRow
from app.shorts.summaries import Activity, CategoryDay
from scripts.local_stack.settings import REPOSITORY

SETTINGS = Settings(url="http://stack.test", publishable_key=Secret("sb_publishable_x"))
AT = datetime(2026, 7, 10, 0, 24, 48, tzinfo=UTC)
TREND = {
    "keyword": "김치",
    "region_code": "KR",
    "trend_score": 0.9,
    "growth_rate": 120.5,
    "detected_at": "2026-07-10T00:24:48+00:00",
    "expires_at": "2026-07-10T04:24:48+00:00",
}
ROW = {**TREND, "data_source": "youtube_api", "search_volume": 7, "z_score": 9.2, "hourly_trend_data": [None, 0, 7]}


ANALYSIS = {"categories": ["food"], "keywords": ["김치"], "emotions": {"joy": 0.5}}
ACTIVITY = {"searches": 3, "clicks": 2, "watch_time": 90, "last_seen": AT.isoformat(), "satisfaction": 4.5}
CATEGORY_DAY = {
    "trend_date": "2026-07-10",
    "category": "food",
    "trending_keyword_count": 2,
    "avg_trend_score": 0.7,
    "top_keywords": ["김치"],
}


class Backend:
    """Answers every request with `answer` and keeps the last one."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.request = httpx.Request("GET", "http://none.test")

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.request = request
        return httpx.Response(200, content=json.dumps(self.answer))

    async def ask(self, method: str, *args: Any, **named: Any) -> Any:
        http = httpx.AsyncClient(transport=httpx.MockTransport(self))
        async with http, Client(SETTINGS, http=http) as client:
            return await getattr(ShortsApi(client), method)(*args, **named)

    @property
    def body(self) -> Any:
        return json.loads(self.request.content)


@pytest.mark.parametrize(
    ("function", "args", "named", "body", "answer"),
    [
        (
            "ingest_videos",
            [[{"video_id": "a"}]],
            {},
            {"videos": [{"video_id": "a"}]},
            {
                "received": 1,
                "inserted": 0,
                "updated": 0,
                "unchanged": 0,
                "rejected": [
                    {"index": 0, "item": None, "code": "ON003", "message": "no title"},
                ],
            },
        ),
        (
            "ingest_channels",
            [[{"channel_id": "UC1"}]],
            {},
            {"channels": [{"channel_id": "UC1"}]},
            {"received": 1, "inserted": 1, "updated": 0, "unchanged": 0, "rejected": []},
        ),
        (
            "ingest_keyword_signals",
            [[{"keyword": "김치"}]],
            {},
            {"signals": [{"keyword": "김치"}]},
            {"received": 1, "inserted": 1, "updated": 0, "unchanged": 0, "rejected": []},
        ),
        (
            "detect_trends",
            [AT],
            {"region": "KR"},
            {"at": "2026-07-10T00:24:48+00:00", "region": "KR"},
            {"at": AT.isoformat(), "region": "KR", "tested": 9, "found": 1, "notified": 0},
        ),
        (
            "detect_trends",
            [],
            {},
            {},
            {"at": AT.isoformat(), "region": None, "tested": 0, "found": 0, "notified": 0},
        ),
        (
            "backtest_bursts",
            [[1, None, 9]],
            {"bin_seconds": 300, "first_at": AT},
            {"counts": [1, None, 9], "bin_seconds": 300, "first_at": "2026-07-10T00:24:48+00:00"},
            {"z": [0.0, None, 11.5], "alarms": [2]},
        ),
        ("trending_now", ["JP"], {"limit": 3}, {"region": "JP", "limit": 3}, [TREND]),
    ],
)
async def test_each_function_has_a_method_of_its_name(
    function: str, args: list[Any], named: dict[str, Any], body: Any, answer: Any
) -> None:
    backend = Backend(answer)
    result = await backend.ask(function, *args, **named)
    assert backend.request.url.path == f"/rest/v1/rpc/{function}"
    assert backend.body == body
    if isinstance(answer, list):
        assert result == [Trend.model_validate(row) for row in answer]
    else:
        assert result.model_dump(mode="json", include=set(answer) - {"at"}) == {
            name: value for name, value in answer.items() if name != "at"
        }


@pytest.mark.parametrize(
    ("function", "args", "named", "body", "answer", "result"),
    [
        ("calculate_quality_score", ["a"], {}, {"video_id": "a", "analysis_version": "v1.0"}, 0.45, 0.45),
        (
            "set_ai_analysis",
            ["a"],
            {"analysis": ANALYSIS},
            {"video_id": "a", "analysis": ANALYSIS, "analysis_version": "v1.0"},
            True,
            True,
        ),
        (
            "set_ai_analysis",
            ["a"],
            {"analysis": ANALYSIS, "analysis_version": "v2.0", "confidence": 0.0, "scores": {"viral_potential": 0.5}},
            {
                "video_id": "a",
                "analysis": ANALYSIS,
                "analysis_version": "v2.0",
                "confidence": 0.0,
                "scores": {"viral_potential": 0.5},
            },
            False,
            False,
        ),
        ("is_playable_in", ["a"], {"region": "KR"}, {"video_id": "a", "region": "KR"}, True, True),
        ("my_activity", [], {}, {}, [ACTIVITY], Activity.model_validate(ACTIVITY)),
        ("my_activity", [], {}, {}, [], None),
        ("category_trends", [], {}, {"days": 7}, [CATEGORY_DAY], [CategoryDay.model_validate(CATEGORY_DAY)]),
    ],
)
async def test_scores_and_summaries(
    function: str, args: list[Any], named: dict[str, Any], body: Any, answer: Any, result: Any
) -> None:
    backend = Backend(answer)
    assert await backend.ask(function, *args, **named) == result
    assert backend.request.url.path == f"/rest/v1/rpc/{function}"
    assert backend.body == body


def test_every_function_of_the_database_has_its_method() -> None:
    """One method per function, under its name; what edge functions, Auth and operators call is not the room's."""
    types = (REPOSITORY / "supabase" / "database.types.ts").read_text(encoding="utf-8")
    functions = re.findall(
        r'^      "(\w+)": \{', types.partition("\n    Functions: {\n")[2].partition("\n    };")[0], re.M
    )
    of_others = {
        *("claim_webhook_deliveries", "record_webhook_deliveries"),
        *("receive_trend_event", "receive_trend_update"),
        *("custom_access_token_hook", "erase_user", "health_check"),
        *("operator_report", "operator_replay"),  # for an admin who is signed in, on the board
        *("open_ai_turn", "close_ai_turn"),  # the two halves of a turn, for the edge function ai-chat
    }
    assert len(functions) > 20
    assert {name for name in functions if not hasattr(ShortsApi, name)} == of_others


async def test_full_rows_are_those_of_one_run() -> None:
    backend = Backend([ROW])
    rows = await backend.ask("trending_keywords", "KR", detected_at=AT)
    assert rows == [TrendRow.model_validate(ROW)]
    asked = dict(backend.request.url.params.multi_items())
    assert backend.request.url.path == "/rest/v1/trending_keywords"
    assert asked["region_code"] == "eq.KR"
    assert asked["detected_at"] == "eq.2026-07-10T00:24:48+00:00"
    assert asked["select"].split(",") == [name for name in TrendRow.model_fields if name not in ("cursor", "change")]
    assert asked["order"] == "trend_score.desc,keyword.asc"


async def test_what_a_newer_backend_adds_is_ignored() -> None:
    assert (await Backend([{**TREND, "mood": "warm"}]).ask("trending_now"))[0].keyword == "김치"


@pytest.mark.parametrize("answer", [None, {}, [{"keyword": "김치"}], "ok", [1]])
async def test_another_form_of_answer_is_named(answer: Any) -> None:
    with pytest.raises(UnexpectedAnswerError, match="trending_now") as raised:
        await Backend(answer).ask("trending_now")
    assert raised.value.__cause__ is not None


def test_every_method_takes_one_argument_by_place_and_the_rest_by_name() -> None:
    for name, method in inspect.getmembers(ShortsApi, inspect.iscoroutinefunction):
        by_place = [
            parameter
            for parameter in inspect.signature(method).parameters.values()
            if parameter.kind is not inspect.Parameter.KEYWORD_ONLY and parameter.name != "self"
        ]
        assert len(by_place) <= 1 or name.startswith("_"), name
