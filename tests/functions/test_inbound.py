"""The handlers that take data in, over ASGI: who is believed, what is stored, how each refusal is named."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.errors import OndolError, UnreachableError, request_error
from functions import ai_analysis, bright_data, trends, youtube_videos
from functions.server import create_app
from functions.settings import Settings
from tests.bright_data_server import scraped_row

from .documented import CONFORMS
from .room import SETTINGS, TOKEN, FakeRoom
from .signing import NOW, OTHER_SECRET, SECRET, signed_headers

AT = datetime.fromtimestamp(NOW, tz=UTC)
SIGNED = ["youtube-videos", "trends", "ai-analysis"]
VIDEO = {
    "kind": "youtube#video",
    "id": "dQw4w9WgXcQ",
    "snippet": {"title": "김치 담그는 법 #김치", "channelId": "UCx", "publishedAt": "2026-07-10T03:15:00Z"},
    "contentDetails": {"duration": "PT1M5S", "regionRestriction": {"blocked": ["DE"]}, "contentRating": {}},
    "status": {"embeddable": True, "privacyStatus": "public", "uploadStatus": "processed"},
    "statistics": {"viewCount": "1200", "likeCount": "34"},
}
TREND = {
    "keyword": "두바이쫀득쿠키",
    "region_code": "KR",
    "data_source": "bright_data",
    "trend_score": 0.9,
    "observed_at": AT.isoformat(),
}
ANALYSIS = {"categories": ["food"], "keywords": ["김치"], "emotions": {"joy": 0.5}}


def event(kind: str, data: Any) -> dict[str, Any]:
    return {"type": kind, "timestamp": AT.isoformat(), "data": data}


GOOD: dict[str, Any] = {
    "youtube-videos": {"kind": "youtube#videoListResponse", "items": [VIDEO]},
    "trends": event("trends.observed", {"trends": [TREND]}),
    "ai-analysis": event(
        "video.analyzed",
        {"video_id": "dQw4w9WgXcQ", "analysis": ANALYSIS, "analysis_version": "v1.0", "confidence": 0.8},
    ),
}
LIMITS = {
    "youtube-videos": youtube_videos.MAX_BODY,
    "trends": trends.MAX_BODY,
    "ai-analysis": ai_analysis.MAX_BODY,
}


def handlers(room: FakeRoom, wanted: Settings = SETTINGS) -> httpx.AsyncClient:
    async def receive(webhook_id: str, *, event: dict[str, Any]) -> bool:
        return False

    app = create_app(wanted, receive=receive, open_room=room.open, clock=lambda: NOW)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://handler", event_hooks=CONFORMS)


@pytest.fixture
def room() -> FakeRoom:
    return FakeRoom()


@pytest.fixture
async def client(room: FakeRoom) -> AsyncIterator[httpx.AsyncClient]:
    async with handlers(room) as client:
        yield client


async def send(client: httpx.AsyncClient, name: str, content: Any, **signing: Any) -> httpx.Response:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return await client.post(f"/webhooks/{name}", content=body, headers=signed_headers(body, **signing))


async def deliver(client: httpx.AsyncClient, body: bytes, *, query: str = "", **headers: str) -> httpx.Response:
    given = {"authorization": TOKEN} | headers
    return await client.post(f"/webhooks/bright-data{query}", content=body, headers=given)


def assert_problem(answer: httpx.Response, status: int, code: str) -> None:
    told = answer.json()
    assert (answer.status_code, told["code"]) == (status, code), told
    assert set(told) == {"code", "message", "hint"}
    assert all(isinstance(text, str) and text for text in told.values())


# What is stored


async def test_videos_of_videos_list_become_videos(client: httpx.AsyncClient, room: FakeRoom) -> None:
    """S-264: duration in seconds, flags and regions as YouTube said them, keywords from the title."""
    answer = await send(client, "youtube-videos", {"items": [VIDEO, {"id": "!"}, {**VIDEO, "id": "other"}]})
    assert answer.status_code == 200
    assert answer.json() == {
        "received": 3,
        "inserted": 2,
        "updated": 0,
        "unchanged": 0,
        "rejected": [{"index": 1, "code": "bad_video_id", "message": "'!'"}],
    }
    video = room.videos["dQw4w9WgXcQ"]
    assert (video["duration_seconds"], video["is_embeddable"], video["privacy_status"]) == (65, True, "public")
    assert video["region_restrictions"] == {"blocked": ["DE"]}
    assert video["collected_at"] == AT.isoformat()
    assert video["keywords"][0]["keyword"] == "김치"


async def test_sent_again_by_somebody_else_old_facts_are_no_news(client: httpx.AsyncClient, room: FakeRoom) -> None:
    """A signature holds for five minutes; within them a video may have been deleted."""
    answer = await send(client, "youtube-videos", {"items": [VIDEO], "signed_at": NOW}, timestamp=NOW - 290)
    assert answer.status_code == 200
    assert room.videos["dQw4w9WgXcQ"]["collected_at"] == (AT - timedelta(seconds=290)).isoformat()
    await send(client, "youtube-videos", {"items": [{**VIDEO, "id": "ahead"}]}, timestamp=NOW + 290)
    assert room.videos["ahead"]["collected_at"] == AT.isoformat()


async def test_a_body_of_many_empty_gzip_files_is_refused(client: httpx.AsyncClient) -> None:
    body = gzip.compress(b"") * 2_000
    assert_problem(await deliver(client, body, **{"content-encoding": "gzip"}), 400, "malformed")


async def test_what_the_database_refuses_keeps_its_place(client: httpx.AsyncClient, room: FakeRoom) -> None:
    room.refuse = lambda row: "ON006" if row["video_id"] == "b" else None
    answer = await send(client, "youtube-videos", {"items": [7, {**VIDEO, "id": "a"}, {**VIDEO, "id": "b"}]})
    assert [(refused["index"], refused["code"]) for refused in answer.json()["rejected"]] == [
        (0, "not_an_object"),
        (2, "ON006"),
    ]


async def test_trends_are_told_to_the_room(client: httpx.AsyncClient, room: FakeRoom) -> None:
    """S-216: each trend as it was sent; told twice it is one."""
    answers = [await send(client, "trends", GOOD["trends"]) for _ in range(2)]
    assert [answer.json()["inserted"] for answer in answers] == [1, 0]
    assert room.told == [TREND]


async def test_an_analysis_is_kept_by_its_version(client: httpx.AsyncClient, room: FakeRoom) -> None:
    """S-217: the same version twice is one."""
    for _ in range(2):
        answer = await send(client, "ai-analysis", GOOD["ai-analysis"])
        assert (answer.status_code, answer.json()) == (200, {"received": 1, "stored": 1, "rejected": []})
    assert room.analyses == {("dQw4w9WgXcQ", "v1.0"): {"analysis": ANALYSIS, "confidence": 0.8, "scores": None}}


@pytest.mark.parametrize("form", ["array", "lines", "gzip array", "gzip lines"])
async def test_a_delivery_of_every_form(client: httpx.AsyncClient, room: FakeRoom, form: str) -> None:
    rows = [scraped_row(1), scraped_row(2), {"error": "dead"}]
    body = (json.dumps(rows) if "array" in form else "\n".join(map(json.dumps, rows))).encode()
    headers = {"content-encoding": "gzip"} if "gzip" in form else {}
    answer = await deliver(client, gzip.compress(body) if headers else body, query="?region=KR", **headers)
    assert answer.status_code == 200
    told = answer.json()
    assert (told["received"], told["queued"], told["stored"]) == (3, 2, 2)
    assert told["rejected"] == [{"index": 2, "code": "source_error", "message": "dead"}]
    assert room.queued["scraped0001"]["reason"] == "discovered"
    assert room.queued["scraped0001"]["region"] == "KR"


async def test_a_delivery_again_changes_nothing(client: httpx.AsyncClient, room: FakeRoom) -> None:
    body = json.dumps([scraped_row(number) for number in range(20)]).encode()
    await deliver(client, body)
    before = (dict(room.videos), dict(room.signals), dict(room.queued))
    again = (await deliver(client, body)).json()
    assert (again["stored"], again["unchanged"]) == (0, 20)
    assert (room.videos, room.signals, room.queued) == before


async def test_many_refusals_are_counted(client: httpx.AsyncClient) -> None:
    told = (await deliver(client, json.dumps([{}] * 150).encode())).json()
    assert (told["received"], len(told["rejected"]), told["rejected_more"]) == (150, 100, 50)


# Who is believed


@pytest.mark.parametrize("name", SIGNED)
@pytest.mark.parametrize(
    "signing",
    [
        {"secret": OTHER_SECRET},
        {"timestamp": NOW - 301},
        {"timestamp": NOW + 301},
        {"timestamp": "soon"},
        {"webhook_id": "a.b"},
    ],
)
async def test_what_is_not_genuine_is_401_and_stores_nothing(
    client: httpx.AsyncClient, room: FakeRoom, name: str, signing: Any
) -> None:
    assert_problem(await send(client, name, GOOD[name], **signing), 401, "not_genuine")
    assert room.is_empty


@pytest.mark.parametrize("name", SIGNED)
async def test_a_bad_signature_is_told_before_anything_is_parsed(client: httpx.AsyncClient, name: str) -> None:
    """Else a stranger could make the parser work."""
    assert_problem(await send(client, name, b"{ no JSON", secret=OTHER_SECRET), 401, "not_genuine")
    answer = await client.post(f"/webhooks/{name}", content=b"{}")
    assert_problem(answer, 401, "not_genuine")


@pytest.mark.parametrize("given", ["", "Bearer", "Basic x", TOKEN[:-1], TOKEN + "x", f"bearer {TOKEN}", "Bearer  x"])
async def test_a_delivery_of_who_knows_no_token_is_401_and_not_read(
    client: httpx.AsyncClient, room: FakeRoom, given: str
) -> None:
    assert_problem(await deliver(client, b"[{]", authorization=given), 401, "not_genuine")
    assert room.is_empty


async def test_the_token_may_stand_after_bearer(client: httpx.AsyncClient) -> None:
    assert (await deliver(client, b"[]", authorization=f"Bearer {TOKEN}")).status_code == 200


@pytest.mark.parametrize("name", [*SIGNED, "bright-data"])
async def test_a_handler_without_a_secret_is_not_there(room: FakeRoom, name: str) -> None:
    closed = Settings(supabase_url="https://abc.supabase.co", supabase_secret_key="k", webhook_secrets=(SECRET,))
    async with handlers(room, closed) as client:
        assert_problem(await send(client, name, {}), 404, "not_found")


# Limits


@pytest.mark.parametrize("name", SIGNED)
async def test_a_body_that_is_too_long(client: httpx.AsyncClient, name: str) -> None:
    assert_problem(await send(client, name, b" " * (LIMITS[name] + 1)), 413, "too_large")
    assert (await send(client, name, b" " * LIMITS[name])).status_code == 400


async def test_a_gzip_bomb_is_413_and_stores_nothing(client: httpx.AsyncClient, room: FakeRoom) -> None:
    row = json.dumps(scraped_row()).encode()
    bomb = gzip.compress(b"[" + row + b"," + b" " * (bright_data.MAX_UNPACKED + 1))
    assert len(bomb) < 100_000
    assert_problem(await deliver(client, bomb, **{"content-encoding": "gzip"}), 413, "too_large")
    many = gzip.compress(b"[" + b"{}," * (bright_data.MAX_ROWS + 1))
    assert_problem(await deliver(client, many, **{"content-encoding": "gzip"}), 413, "too_large")
    assert room.is_empty


async def test_a_packed_body_that_is_too_long_is_413(client: httpx.AsyncClient) -> None:
    noise = random.Random(1).randbytes(bright_data.MAX_PACKED + 1)  # noqa: S311 -- incompressible, not secret
    assert_problem(await deliver(client, noise, **{"content-encoding": "gzip"}), 413, "too_large")


async def test_gzip_in_parts_is_read_whole(client: httpx.AsyncClient) -> None:
    rows = b"[" + b",".join(json.dumps(scraped_row(number)).encode() for number in range(500)) + b"]"
    packed = gzip.compress(rows[:100_000]) + gzip.compress(rows[100_000:])
    answer = await deliver(client, packed, **{"content-encoding": "gzip"})
    assert answer.json()["received"] == 500


# What is malformed


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"[{}", {}),
        (b"[] x", {}),
        (b"plain", {"content-encoding": "gzip"}),
        (gzip.compress(b"[]")[:-4], {"content-encoding": "gzip"}),
        (b"[]", {"content-encoding": "br"}),
    ],
)
async def test_a_delivery_that_cannot_be_read_is_400(
    client: httpx.AsyncClient, room: FakeRoom, body: bytes, headers: dict[str, str]
) -> None:
    assert_problem(await deliver(client, body, **headers), 400, "malformed")
    assert room.is_empty


async def test_a_region_of_no_country_is_400(client: httpx.AsyncClient) -> None:
    assert_problem(await deliver(client, b"[]", query="?region=kr"), 400, "malformed")


@pytest.mark.parametrize("name", SIGNED)
@pytest.mark.parametrize(
    "body", [b"", b"[]", b"null", b"{", b"{}", b'{"items": 1, "data": 1}', b'{"items": "\\u0000"}']
)
async def test_a_body_that_is_not_as_agreed_is_400(client: httpx.AsyncClient, name: str, body: bytes) -> None:
    assert_problem(await send(client, name, body), 400, "malformed")


@pytest.mark.parametrize(
    "changes",
    [
        {"video_id": "no id!"},
        {"analysis": {"categories": [], "keywords": []}},
        {"analysis": {**ANALYSIS, "emotions": {"joy": "much"}}},
        {"analysis_version": ""},
        {"analysis_version": "v" * 21},
        {"confidence": 2},
        {"scores": {"content_quality_score": "0.5"}},
    ],
)
async def test_an_analysis_that_cannot_be_true_is_400(client: httpx.AsyncClient, room: FakeRoom, changes: Any) -> None:
    content = event("video.analyzed", {**GOOD["ai-analysis"]["data"], **changes})
    assert_problem(await send(client, "ai-analysis", content), 400, "malformed")
    assert room.is_empty


@pytest.mark.parametrize("name", ["trends", "ai-analysis"])
async def test_a_type_of_tomorrow_is_ignored_with_2xx(client: httpx.AsyncClient, room: FakeRoom, name: str) -> None:
    answer = await send(client, name, event("video.archived", {}))
    assert (answer.status_code, answer.json()) == (200, {"ignored": True})
    assert room.is_empty


# The database


@pytest.mark.parametrize("name", [*SIGNED, "bright-data"])
@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (UnreachableError("unreachable", url="http://x.test", problem="inner detail"), 503, "unavailable"),
        (request_error("inner detail", doing="x", code="PGRST202", status=404), 503, "unavailable"),
        (request_error("inner detail", doing="x", code="42501", status=403), 503, "unavailable"),
        (request_error("inner detail", doing="x", status=500), 503, "unavailable"),
        (request_error("inner detail", doing="x", code="PT400", status=400), 400, "refused"),
        (request_error("inner detail", doing="x", code="PT404", status=404), 404, "unknown_video"),
    ],
)
async def test_what_the_database_says_is_told_in_our_words(
    client: httpx.AsyncClient, room: FakeRoom, name: str, error: OndolError, status: int, code: str
) -> None:
    room.error = error
    if name == "bright-data":
        answer = await deliver(client, json.dumps([scraped_row()]).encode())
    else:
        answer = await send(client, name, GOOD[name])
    assert_problem(answer, status, code)
    assert "inner detail" not in answer.text
    assert ("retry-after" in answer.headers) == (status == 503)


# Fuzz: everything is genuine, because what is not never reaches a parser.

STRANGE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def bodies(draw: st.DrawFn) -> tuple[str, bytes]:
    """A good body with a value replaced somewhere, or other bytes."""
    name = draw(st.sampled_from(SIGNED))
    if draw(st.booleans()):
        return name, draw(st.binary(max_size=80))
    content = json.loads(json.dumps(GOOD[name]))
    place = content
    while True:
        key = draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        if isinstance(place[key], dict | list) and place[key] and draw(st.booleans()):
            place = place[key]
            continue
        place[key] = draw(STRANGE)
        return name, json.dumps(content).encode()


@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(given_body=bodies())
async def test_any_genuine_body_is_stored_or_refused_by_name(given_body: tuple[str, bytes]) -> None:
    name, body = given_body
    async with handlers(FakeRoom()) as client:
        answer = await send(client, name, body)
    if answer.status_code != 200:  # 401: what is not UTF-8 cannot have been signed as text
        assert_problem(answer, *((401, "not_genuine") if answer.status_code == 401 else (400, "malformed")))


@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(
    rows=st.lists(st.dictionaries(st.sampled_from([*scraped_row()]), STRANGE, max_size=4), max_size=4),
    noise=st.binary(max_size=60),
    is_gzip=st.booleans(),
    cut=st.integers(0, 40),
)
async def test_any_delivery_is_stored_or_refused_by_name(
    rows: list[dict[str, Any]], noise: bytes, is_gzip: bool, cut: int
) -> None:
    body = json.dumps([scraped_row() | row for row in rows]).encode() if rows else noise
    body = gzip.compress(body) if is_gzip else body
    async with handlers(FakeRoom()) as client:
        answer = await deliver(client, body[: len(body) - cut], **({"content-encoding": "gzip"} if is_gzip else {}))
    assert answer.status_code in (200, 400), answer.text
    if answer.status_code == 200:
        told = answer.json()
        assert told["received"] == told["queued"] + len(told["rejected"])
