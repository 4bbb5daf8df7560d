from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from app.client import Client
from app.config import Secret, Settings
from app.errors import InvalidRequestError, NotAllowedError, NotFoundError, TooManyRequestsError, UnexpectedAnswerError
from app.shorts.activity import HistoryCursor, WatchedVideo
from app.shorts.api import ShortsApi
from app.shorts.rows import PublicCachedVideos

SETTINGS = Settings(url="http://stack.test", publishable_key=Secret("sb_publishable_x"))
AT = datetime(2026, 7, 10, 0, 24, 48, 123456, tzinfo=UTC)
ID = UUID("5a3b1e00-0000-4000-8000-000000000001")
VISIT = UUID("5a3b1e00-0000-4000-8000-000000000002")
STARTED = {"id": str(ID), "session_started_at": AT.isoformat(), "session_id": str(VISIT), "cache_hit": False}
ENDED = {"id": str(ID), "session_ended_at": AT.isoformat(), "response_time_ms": 412}
RECORDED = {
    "received": 3,
    "stored": 1,
    "repeated": 1,
    "interactions": [{"index": 0, "id": str(ID)}, {"index": 1, "id": str(VISIT)}],
    "rejected": [{"index": 2, "code": "ON012", "message": "no such video", "hint": "Look."}],
}
FEEDBACK = {"id": str(ID), "created_at": AT.isoformat(), "repeated": False}
VIDEO = dict.fromkeys(PublicCachedVideos.model_fields) | {
    "id": str(ID),
    "video_id": "abc",
    "title": "김치",
    "is_playable": True,
    "is_shorts": True,
    "cache_hit_count": 4,
    "times_taken_out": 0,
    "region_restrictions": {},
    **dict.fromkeys(("cached_at", "collected_at", "created_at", "expires_at", "updated_at"), AT.isoformat()),
}
VIEW = {
    "id": str(ID),
    "video_id": "abc",
    "watch_duration": 12,
    "completion_rate": 0.8,
    "interaction_timestamp": AT.isoformat(),
    "created_at": AT.isoformat(),
}


class Backend:
    """Answers each request with what `answers` has for its function or table, and keeps what was asked."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.asked: list[tuple[str, Any]] = []
        self.status = 200

    def __call__(self, request: httpx.Request) -> httpx.Response:
        name = request.url.path.rsplit("/", 1)[-1]
        body = json.loads(request.content) if request.content else dict(request.url.params.multi_items())
        self.asked.append((name, body))
        answer = self.answers[name]
        if isinstance(answer, httpx.Response):
            return answer
        return httpx.Response(self.status, content=json.dumps(answer))

    async def use(self, using: Callable[[ShortsApi], Any]) -> Any:
        http = httpx.AsyncClient(transport=httpx.MockTransport(self))
        async with http, Client(SETTINGS, http=http) as client:
            return await using(ShortsApi(client))


def refused(status: int, code: str) -> httpx.Response:
    body = {"code": code, "message": "no", "details": None, "hint": "Look here."}
    return httpx.Response(status, content=json.dumps(body))


@pytest.mark.parametrize(
    ("function", "args", "named", "body", "answer"),
    [
        ("start_search", ["김치"], {}, {"query": "김치", "search_type": "keyword"}, STARTED),
        (
            "start_search",
            ["김치"],
            {
                "search_type": "ai_chat",
                "user_context": {"device_type": "mobile"},
                "search_intent": "education",
                "session_id": VISIT,
                "session_token": "t",
            },
            {
                "query": "김치",
                "search_type": "ai_chat",
                "user_context": {"device_type": "mobile"},
                "search_intent": "education",
                "session_id": str(VISIT),
                "session_token": "t",
            },
            STARTED,
        ),
        ("end_search", [ID], {}, {"session": str(ID)}, ENDED),
        (
            "end_search",
            [str(ID)],
            {
                "outcome": "partial",
                "rating": 4,
                "results_count": 0,
                "results_shown": 0,
                "results_clicked": 0,
                "response_time_ms": 412,
                "conversation": [{"role": "user", "text": "안녕"}],
            },
            {
                "session": str(ID),
                "outcome": "partial",
                "rating": 4,
                "results_count": 0,
                "results_shown": 0,
                "results_clicked": 0,
                "response_time_ms": 412,
                "conversation": [{"role": "user", "text": "안녕"}],
            },
            ENDED,
        ),
        (
            "record_interaction",
            [[{"video_id": "abc", "interaction_type": "view"}]],
            {},
            {"interactions": [{"video_id": "abc", "interaction_type": "view"}]},
            RECORDED,
        ),
        (
            "record_watch_event",
            [[{"interaction_id": str(ID), "event_type": "play"}]],
            {},
            {"events": [{"interaction_id": str(ID), "event_type": "play"}]},
            {"received": 1, "stored": 1, "repeated": 0, "events": [{"index": 0, "id": str(VISIT)}], "rejected": []},
        ),
        (
            "submit_feedback",
            ["abc"],
            {"feedback_type": "like"},
            {"video_id": "abc", "feedback_type": "like"},
            FEEDBACK,
        ),
        (
            "submit_feedback",
            ["abc"],
            {
                "feedback_type": "report",
                "reason": "quality",
                "comment": "흐림",
                "session_id": VISIT,
                "source_keyword": "김치",
                "position_in_list": 0,
            },
            {
                "video_id": "abc",
                "feedback_type": "report",
                "reason": "quality",
                "comment": "흐림",
                "session_id": str(VISIT),
                "source_keyword": "김치",
                "position_in_list": 0,
            },
            FEEDBACK,
        ),
        (
            "report_playback_error",
            ["abc"],
            {"error_code": 150},
            {"video_id": "abc", "error_code": 150},
            {"repeated": True},
        ),
        (
            "report_playback_error",
            ["abc"],
            {"error_code": 101, "region": "KR"},
            {"video_id": "abc", "error_code": 101, "region": "KR"},
            {"repeated": False},
        ),
    ],
)
async def test_each_function_has_a_method_of_its_name(
    function: str, args: list[Any], named: dict[str, Any], body: Any, answer: dict[str, Any]
) -> None:
    backend = Backend(**{function: answer})
    result = await backend.use(lambda api: getattr(api, function)(*args, **named))
    assert backend.asked == [(function, body)]
    dumped = result.model_dump(mode="json")
    times = {"session_started_at", "session_ended_at", "created_at"}
    assert {name: value for name, value in dumped.items() if name not in times} == {
        name: value for name, value in answer.items() if name not in times
    }
    assert all(getattr(result, name) == AT for name in times & set(answer))


async def test_a_video_of_the_cache_or_none() -> None:
    found = await Backend(touch_cached_video=[VIDEO]).use(lambda api: api.touch_cached_video("abc"))
    assert (found.video_id, found.view_count, found.expires_at) == ("abc", None, AT)
    assert await Backend(touch_cached_video=[]).use(lambda api: api.touch_cached_video("abc")) is None


@pytest.mark.parametrize("method", ["record_interaction", "record_watch_event"])
async def test_more_rows_than_a_call_takes_are_refused_before_they_are_sent(method: str) -> None:
    backend = Backend()
    with pytest.raises(InvalidRequestError, match="more than 1000 rows: 1001") as raised:
        await backend.use(lambda api: getattr(api, method)([{}] * 1001))
    assert (raised.value.code, raised.value.status) == ("PT413", 413)
    assert raised.value.next_step("ko") == "Send it in parts of at most 1000 rows."
    assert backend.asked == []


async def test_s_258_a_search_is_open_for_a_block() -> None:
    """S-258: the context manager opens the search, and closes it with what the block says of it."""
    backend = Backend(start_search=STARTED, end_search=ENDED)

    async def use(api: ShortsApi) -> None:
        async with api.searching("김치", search_intent="discovery") as search:
            assert [name for name, _ in backend.asked] == ["start_search"]
            assert (search.id, search.ended) == (ID, None)
            search.results_count = 0
            search.outcome = "satisfied"
        assert search.ended is not None
        assert search.ended.response_time_ms == 412

    await backend.use(use)
    assert backend.asked[0][1] == {"query": "김치", "search_type": "keyword", "search_intent": "discovery"}
    assert backend.asked[1:] == [("end_search", {"session": str(ID), "outcome": "satisfied", "results_count": 0})]


@pytest.mark.parametrize(("said", "told"), [(None, "abandoned"), ("partial", "partial")])
@pytest.mark.parametrize("closes", [True, False])
async def test_s_258_a_block_that_raises_closes_its_search(said: Any, told: str, closes: bool) -> None:
    """S-258: abandoned unless something was said; the block's error goes on, even when closing fails too."""
    backend = Backend(start_search=STARTED, end_search=ENDED if closes else refused(404, "PT404"))

    async def use(api: ShortsApi) -> None:
        async with api.searching("김치") as search:
            search.outcome = said
            raise LookupError("the block's own")

    with pytest.raises(LookupError, match="the block's own"):
        await backend.use(use)
    assert backend.asked[1:] == [("end_search", {"session": str(ID), "outcome": told})]


async def test_the_history_is_read_from_a_cursor_on() -> None:
    backend = Backend(video_interactions=[VIEW])
    first = await backend.use(lambda api: api.watch_history(limit=1))
    assert first == [WatchedVideo.model_validate(VIEW)]
    assert first[0].cursor == HistoryCursor(created_at=AT, id=ID)
    await backend.use(lambda api: api.watch_history(first[0].cursor))
    common = {
        "select": "id,video_id,watch_duration,completion_rate,interaction_timestamp,created_at",
        "interaction_type": "eq.view",
        "order": "created_at.desc,id.desc",
    }
    assert backend.asked == [
        ("video_interactions", {**common, "limit": "1"}),
        (
            "video_interactions",
            {
                **common,
                "limit": "50",
                "created_at": "lte.2026-07-10T00:24:48.123456+00:00",
                "or": f'(created_at.lt."2026-07-10T00:24:48.123456+00:00",id.lt.{ID})',
            },
        ),
    ]


@pytest.mark.parametrize("limit", [0, -1, 1001])
async def test_a_page_of_the_history_has_bounds(limit: int) -> None:
    backend = Backend()
    with pytest.raises(InvalidRequestError, match="A page has 1 to 1000 views"):
        await backend.use(lambda api: api.watch_history(limit=limit))
    assert backend.asked == []


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "PT400", InvalidRequestError),
        (403, "PT403", NotAllowedError),
        (401, "42501", NotAllowedError),
        (404, "PT404", NotFoundError),
        (413, "PT413", InvalidRequestError),
        (429, "PT429", TooManyRequestsError),
    ],
)
async def test_a_refusal_keeps_code_and_hint(status: int, code: str, kind: type[Exception]) -> None:
    backend = Backend(start_search=refused(status, code))
    with pytest.raises(kind) as raised:
        await backend.use(lambda api: api.start_search("김치", search_type="ai_chat"))
    error: Any = raised.value
    assert (error.code, error.status, error.hint, error.next_step("en")) == (code, status, "Look here.", "Look here.")


@pytest.mark.parametrize("answer", [None, [], {"id": "no uuid"}, {**STARTED, "session_started_at": "soon"}])
async def test_another_form_of_answer_is_named(answer: Any) -> None:
    with pytest.raises(UnexpectedAnswerError, match="start_search"):
        await Backend(start_search=answer).use(lambda api: api.start_search("김치"))


def test_a_cursor_survives_json() -> None:
    cursor = HistoryCursor(created_at=AT + timedelta(microseconds=1), id=ID)
    assert HistoryCursor.model_validate_json(cursor.model_dump_json()) == cursor
