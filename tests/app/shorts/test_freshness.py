from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx
import pytest

from app.client import Client
from app.config import Secret, Settings
from app.errors import InvalidRequestError, NotFoundError, UnexpectedAnswerError
from app.shorts.api import Ingested, ShortsApi, VideoInput
from app.shorts.freshness import QueueInput

SETTINGS = Settings(url="http://stack.test", publishable_key=Secret("sb_publishable_x"))
AT = datetime(2026, 7, 10, 7, 0, tzinfo=UTC)
ID = UUID("5a3b1e00-0000-4000-8000-000000000001")
QUOTA = {"bucket": "youtube_units", "used": 7, "daily_limit": 10000, "resets_at": "2026-07-10T07:00:00Z"}
REJECTED = {"index": 1, "item": None, "code": "ON002", "message": "no id"}
QUEUED = {"received": 3, "queued": 1, "merged": 1, "fresh": 0, "rejected": [REJECTED]}
CLAIM = {
    "lease": str(ID),
    "videos": [
        {
            "video_id": "abc",
            "reason": "player_error",
            "attempts": 2,
            "region": "KR",
            "keywords": [{"keyword": "김치", "rank": 3}, {"keyword": "배추", "rank": None}],
        }
    ],
}
STORED = {"received": 1, "inserted": 0, "updated": 1, "unchanged": 0, "rejected": []}
RUN = {"id": str(ID), "state": {"page": 2}, "resumed": True, "started_at": "2026-07-10T07:00:00Z"}
STATUS = {
    "quotas": [QUOTA],
    "queue": {"due": 1, "leased": 2, "waiting": 3, "by_reason": {"expiring": 6}, "oldest_due_at": None},
    "cache": {
        "videos": 9,
        "playable": 8,
        "shorts": 7,
        "expire_in_24h": 6,
        "expired": 5,
        "unknown": 4,
        "taken_out": 3,
        "deleted": 2,
        "purge_due": 1,
    },
    "runs": [
        {
            "id": str(ID),
            "source": "youtube",
            "request": {"q": "김치"},
            "outcome": None,
            "counts": {},
            "started_at": "2026-07-10T07:00:00Z",
            "saved_at": "2026-07-10T07:00:00Z",
            "ended_at": None,
        }
    ],
}
ROWS: list[QueueInput] = [
    {"video_id": "abc", "reason": "discovered", "keyword": "김치", "rank": 1, "region": "KR"},
    {"video_id": "a b", "reason": "requested"},
]
NEWS: list[VideoInput] = [{"video_id": "abc", "title": "김치", "collected_at": "2026-07-10T07:00:00Z", "keywords": []}]


class Backend:
    """Answers every request with `answer` and keeps what was asked."""

    def __init__(self, answer: Any, status: int = 200) -> None:
        self.answer = answer
        self.status = status
        self.asked: list[tuple[str, Any]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append((request.url.path.rsplit("/", 1)[-1], json.loads(request.content)))
        return httpx.Response(self.status, content=json.dumps(self.answer))

    async def use(self, using: Callable[[ShortsApi], Any]) -> Any:
        http = httpx.AsyncClient(transport=httpx.MockTransport(self))
        async with http, Client(SETTINGS, http=http) as client:
            return await using(ShortsApi(client))


@pytest.mark.parametrize(
    ("function", "args", "named", "body", "answer"),
    [
        ("take_quota", ["youtube_units"], {}, {"bucket": "youtube_units", "units": 1}, {**QUOTA, "granted": True}),
        (
            "take_quota",
            ["youtube_search"],
            {"units": 5},
            {"bucket": "youtube_search", "units": 5},
            {**QUOTA, "granted": False},
        ),
        ("close_quota", ["youtube_units"], {}, {"bucket": "youtube_units"}, {**QUOTA, "granted": False}),
        ("queue_videos", [ROWS], {}, {"videos": ROWS}, QUEUED),
        ("claim_refreshes", [], {}, {"most": 50, "lease_seconds": 300}, CLAIM),
        (
            "claim_refreshes",
            [7],
            {"lease_seconds": 60},
            {"most": 7, "lease_seconds": 60},
            {"lease": None, "videos": []},
        ),
        (
            "finish_refreshes",
            [ID],
            {"videos": NEWS, "missing": ("gone",)},
            {"lease": str(ID), "videos": NEWS, "missing": ["gone"]},
            {"stored": STORED, "gone": 1, "left": 0},
        ),
        (
            "finish_refreshes",
            [ID],
            {"videos": ()},
            {"lease": str(ID), "videos": [], "missing": []},
            {"stored": {**STORED, "rejected": [REJECTED]}, "gone": 0, "left": 1},
        ),
        (
            "release_refreshes",
            [ID],
            {"problem": "busy", "retry_after_seconds": 9},
            {"lease": str(ID), "problem": "busy", "retry_after_seconds": 9},
            {"released": 3},
        ),
        (
            "begin_ingest_run",
            ["youtube"],
            {"request": {"q": "김치"}},
            {"source": "youtube", "request": {"q": "김치"}},
            RUN,
        ),
        (
            "save_ingest_run",
            [ID],
            {"state": {"page": 3}, "videos": ROWS},
            {"id": str(ID), "state": {"page": 3}, "videos": ROWS},
            QUEUED,
        ),
        (
            "save_ingest_run",
            [ID],
            {"state": {}},
            {"id": str(ID), "state": {}, "videos": []},
            {**QUEUED, "rejected": []},
        ),
        (
            "end_ingest_run",
            [ID],
            {"outcome": "done", "counts": {"stored": 3}},
            {"id": str(ID), "outcome": "done", "counts": {"stored": 3}},
            {"id": str(ID), "outcome": "done", "ended_at": "2026-07-10T07:00:00Z"},
        ),
        ("ingest_status", [], {}, {}, STATUS),
    ],
)
async def test_each_function_has_a_method_of_its_name(
    function: str, args: list[Any], named: dict[str, Any], body: Any, answer: dict[str, Any]
) -> None:
    """S-215: what is sent, and that every field of the answer is read."""
    backend = Backend(answer)
    result = await backend.use(lambda api: getattr(api, function)(*args, **named))
    assert backend.asked == [(function, body)]
    assert result.model_dump(mode="json") == answer


async def test_answers_are_typed() -> None:
    taken = await Backend({**QUOTA, "granted": True}).use(lambda api: api.take_quota("youtube_units"))
    assert (taken.granted, taken.resets_at) == (True, AT)
    claim = await Backend(CLAIM).use(lambda api: api.claim_refreshes())
    assert (claim.lease, claim.videos[0].keywords[0].rank) == (ID, 3)
    done = await Backend({"stored": STORED, "gone": 0, "left": 0}).use(
        lambda api: api.finish_refreshes(ID, videos=NEWS)
    )
    assert done.stored == Ingested.model_validate(STORED)


@pytest.mark.parametrize(
    ("status", "code", "kind"), [(400, "PT400", InvalidRequestError), (404, "PT404", NotFoundError)]
)
async def test_a_refusal_keeps_code_and_hint(status: int, code: str, kind: type[Exception]) -> None:
    body = {"code": code, "message": "no", "details": None, "hint": "Look here."}
    with pytest.raises(kind) as raised:
        await Backend(body, status).use(lambda api: api.take_quota("youtube_units", units=0))
    error: Any = raised.value
    assert (error.code, error.hint) == (code, "Look here.")


@pytest.mark.parametrize("answer", [None, [], {**QUOTA, "granted": "perhaps"}, {**QUOTA, "resets_at": "soon"}])
async def test_another_form_of_answer_is_named(answer: Any) -> None:
    with pytest.raises(UnexpectedAnswerError, match="take_quota"):
        await Backend(answer).use(lambda api: api.take_quota("youtube_units"))
