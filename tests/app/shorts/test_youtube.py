"""The client of YouTube against the mock server, fault by fault; the ledger is in memory."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.config import Secret
from app.errors import QuotaSpentError, SettingsError, SourceError
from app.shorts.youtube import YouTube
from tests.youtube_server import Fault, YouTubeServer
from tests.youtube_server.server import KEY

from .ledgers import RESETS_AT, FakeLedger
from .raw_server import saying
from .test_youtube_resources import ANY_JSON

NOW = datetime(2026, 7, 10, 12, tzinfo=UTC)


@dataclass
class Room:
    """The client, what it speaks to, and how long it would have slept."""

    youtube: YouTube
    server: YouTubeServer
    ledger: FakeLedger
    slept: list[float] = field(default_factory=list)


@pytest.fixture
async def server() -> AsyncIterator[YouTubeServer]:
    async with YouTubeServer() as server:
        server.add_video("short000001")
        yield server


@pytest.fixture
async def room(server: YouTubeServer) -> AsyncIterator[Room]:
    ledger = FakeLedger()
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    async with YouTube(
        Secret(KEY), quota=ledger, url=server.url, timeout_seconds=0.5, sleep=sleep, now=lambda: NOW
    ) as youtube:
        yield Room(youtube, server, ledger, slept)


async def test_the_key_goes_in_a_header_and_nowhere_else(room: Room, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    await room.youtube.videos(["short000001"])
    [call] = room.server.calls
    assert call.key == KEY
    assert KEY not in str(call.query)
    assert KEY not in caplog.text
    assert KEY not in repr(vars(room.youtube))


async def test_ids_are_told_apart(room: Room) -> None:
    """S-264: found, unusable, missing; what was not asked for and what comes twice is ignored."""
    room.server.add_video("untitled001", snippet={"title": ""})

    def more(answer: dict[str, Any]) -> dict[str, Any]:
        stranger = {**answer["items"][0], "id": "stranger001"}
        return {**answer, "items": [*answer["items"], answer["items"][0], stranger]}

    room.server.faults.append(Fault(change=more))
    answer = await room.youtube.videos(["short000001", "untitled001", "deleted0001", "short000001"])
    assert [video["video_id"] for video in answer.found] == ["short000001"]
    assert [unusable.code for unusable in answer.unusable] == ["missing_value"]
    assert answer.missing == ["deleted0001"]
    assert room.server.calls[0].ids == ["short000001", "untitled001", "deleted0001"]
    assert answer.found[0]["collected_at"] == NOW.isoformat()


async def test_nothing_is_called_deleted_when_an_item_names_no_id(room: Room) -> None:
    """The nameless item may be any of the ids."""
    room.server.faults.append(Fault(change=lambda answer: {**answer, "items": [{"id": None}]}))
    answer = await room.youtube.videos(["short000001", "short000002"])
    assert (answer.found, answer.missing) == ([], [])
    assert [unusable.code for unusable in answer.unusable] == ["bad_id"]


async def test_fifty_ids_are_one_unit_and_more_are_refused(room: Room) -> None:
    ids = [f"many{number:07}" for number in range(51)]
    await room.youtube.videos(ids[:50])
    assert room.ledger.used == {"youtube_search": 0, "youtube_units": 1}
    for wrong in (ids, [], ["a,b"], [""]):
        with pytest.raises(ValueError, match="ids are asked for"):
            await room.youtube.videos(wrong)
    assert len(room.server.calls) == 1


async def test_a_search_takes_a_search_and_goes_on_by_page(room: Room) -> None:
    room.server.searches["김치"] = [f"found{number:06}" for number in range(70)]
    first = await room.youtube.search("김치", region="KR", language="ko", published_after=NOW)
    second = await room.youtube.search("김치", region="KR", page_token=first.next_page_token)
    assert len(first.video_ids) == 50
    assert first.video_ids + second.video_ids == room.server.searches["김치"]
    assert second.next_page_token is None
    assert room.ledger.used == {"youtube_search": 2, "youtube_units": 0}
    query = room.server.calls[0].query
    assert query["regionCode"] == "KR"
    assert query["publishedAfter"] == "2026-07-10T12:00:00Z"
    assert (query["type"], query["videoDuration"], query["maxResults"]) == ("video", "short", "50")


async def test_search_results_that_are_no_video_are_named(room: Room) -> None:
    room.server.searches["x"] = ["found000001"]
    odd = [None, {"id": "found000002"}, {"id": {"kind": "youtube#channel", "channelId": "UCx"}}]
    room.server.faults.append(Fault(change=lambda answer: {**answer, "items": [*odd, *answer["items"] * 2]}))
    page = await room.youtube.search("x", region="KR")
    assert page.video_ids == ["found000001"]
    assert [unusable.code for unusable in page.unusable] == ["bad_video_id"] * 3


async def test_the_chart_comes_with_its_facts(room: Room) -> None:
    for number in range(60):
        room.server.add_video(f"chart{number:06}")
    first = await room.youtube.most_popular("KR", category=10)
    rest = await room.youtube.most_popular("KR", page_token=first.next_page_token)
    assert (len(first.found), len(rest.found), rest.next_page_token) == (50, 11, None)
    assert room.server.calls[0].query["videoCategoryId"] == "10"
    assert room.ledger.used["youtube_units"] == 2


async def test_channels_and_categories_are_read(room: Room) -> None:
    room.server.add_channel("UCa", statistics={"subscriberCount": "7"})
    answer = await room.youtube.channels(["UCa", "UCb"])
    assert [channel["channel_id"] for channel in answer.found] == ["UCa"]
    assert answer.missing == ["UCb"]
    assert (await room.youtube.channels(["UCb"])).missing == ["UCb"]
    assert await room.youtube.categories("KR", language="ko") == {15: "Pets & Animals"}
    assert room.ledger.used["youtube_units"] == 3


TRANSIENT = [
    *(Fault(error=name) for name in ("tooManyRequests", "internalError", "badGateway", "backendError", "deadline")),
    Fault(error="rateLimitExceeded"),
    Fault(cut=100),
    Fault(wait=0.7),
    Fault(body=b'{"kind": "youtube#videoListResponse", "items": ['),
    Fault(body=b"<html>"),
    Fault(body=b"\xff\xfe"),
    Fault(body=b"[" * 100_000),
    Fault(body=b"null"),
    Fault(body=b'{"kind": "youtube#videoListResponse"}'),
    Fault(body=b'{"kind": "youtube#channelListResponse", "items": []}'),
    Fault(body=b'{"kind": "youtube#videoListResponse", "items": {}}'),
    Fault(body=b"Service Unavailable", status=503),
]


@pytest.mark.parametrize("fault", TRANSIENT, ids=repr)
async def test_what_passes_is_asked_again_and_every_attempt_takes_its_unit(room: Room, fault: Fault) -> None:
    room.server.faults.append(fault)
    answer = await room.youtube.videos(["short000001"])
    assert len(answer.found) == 1
    assert len(room.slept) == 1
    assert room.ledger.used["youtube_units"] == len(room.server.calls) == 2


@pytest.mark.parametrize("fault", [Fault(error="internalError"), Fault(cut=10), Fault(body=b"{")], ids=repr)
async def test_after_four_attempts_it_is_a_transient_failure(room: Room, fault: Fault) -> None:
    room.server.faults.extend([fault] * 9)
    with pytest.raises(SourceError) as caught:
        await room.youtube.videos(["short000001"])
    assert (caught.value.key, caught.value.is_transient) == ("source_failed", True)
    assert room.ledger.used["youtube_units"] == len(room.server.calls) == 4
    first, second, third = room.slept
    assert 0.5 <= first <= 1.0 <= second <= 1.5 < 2.0 <= third <= 2.5


async def test_mixed_faults_end_well(room: Room) -> None:
    room.server.faults.extend([Fault(error="backendError"), Fault(cut=50), Fault(error="tooManyRequests")])
    assert len((await room.youtube.videos(["short000001"])).found) == 1
    assert room.ledger.used["youtube_units"] == 4


@pytest.mark.parametrize(
    ("header", "least"),
    [
        ("7", 7.0),
        ("60", 60.0),
        ("Fri, 10 Jul 2026 12:00:20 GMT", 20.0),
        ("Fri, 10 Jul 2026 11:00:00 GMT", 0.5),
        ("soon", 0.5),
        ("", 0.5),
    ],
)
async def test_retry_after_is_honoured(room: Room, header: str, least: float) -> None:
    room.server.faults.append(Fault(error="tooManyRequests", retry_after=header))
    await room.youtube.videos(["short000001"])
    [slept] = room.slept
    assert least <= slept <= least + 0.6


@pytest.mark.parametrize("header", ["61", "Fri, 10 Jul 2026 13:00:00 GMT", "999999999"])
async def test_a_longer_retry_after_is_the_callers_to_wait_for(room: Room, header: str) -> None:
    room.server.faults.append(Fault(error="tooManyRequests", retry_after=header))
    with pytest.raises(SourceError) as caught:
        await room.youtube.videos(["short000001"])
    assert caught.value.is_transient
    asked = caught.value.values["retry_after_seconds"]
    assert isinstance(asked, float)
    assert asked > 60
    assert (len(room.server.calls), room.slept) == (1, [])


@pytest.mark.parametrize("error", ["quotaExceeded", "dailyLimitExceeded", "searchesPerDay"])
async def test_youtubes_own_word_closes_the_bucket(room: Room, error: str) -> None:
    room.server.faults.append(Fault(error=error))
    with pytest.raises(QuotaSpentError) as caught:
        await room.youtube.videos(["short000001"])
    assert caught.value.values["resets_at"] == RESETS_AT
    assert room.ledger.used == {"youtube_search": 0, "youtube_units": 10_000}
    with pytest.raises(QuotaSpentError):
        await room.youtube.videos(["short000001"])
    assert len(room.server.calls) == 1


@pytest.mark.parametrize(
    "error", ["forbidden", "accessNotConfigured", "keyInvalid", "unauthorized", "invalidPageToken"]
)
async def test_a_refusal_is_not_asked_again(room: Room, error: str) -> None:
    room.server.faults.append(Fault(error=error))
    with pytest.raises(SourceError) as caught:
        await room.youtube.videos(["short000001"])
    assert (caught.value.key, caught.value.is_transient) == ("source_refused", False)
    assert error in str(caught.value)
    assert len(room.server.calls) == 1


async def test_a_refusal_that_repeats_the_key_is_told_without_it(room: Room) -> None:
    body = b'{"error": {"code": 400, "message": "bad key ' + KEY.encode() + b'", "status": "INVALID_ARGUMENT"}}'
    room.server.faults.append(Fault(body=body, status=400))
    with pytest.raises(SourceError, match="INVALID_ARGUMENT") as caught:
        await room.youtube.videos(["short000001"])
    assert KEY not in str(caught.value)


async def test_a_redirect_is_not_followed(room: Room) -> None:
    room.server.faults.append(Fault(body=b"", status=302))
    with pytest.raises(SourceError, match="302"):
        await room.youtube.videos(["short000001"])


async def test_with_a_limit_of_seven_units_no_eighth_call_reaches_the_server(room: Room) -> None:
    room.ledger.limits["youtube_units"] = 7
    room.server.faults.extend([Fault(error="internalError"), None, None, Fault(cut=5)])
    for _ in range(5):
        await room.youtube.videos(["short000001"])
    for _ in range(3):
        with pytest.raises(QuotaSpentError, match="7 of 7"):
            await room.youtube.videos(["short000001"])
    assert len(room.server.calls) == 7


async def test_the_limit_holds_in_the_middle_of_retries(room: Room) -> None:
    room.ledger.limits["youtube_units"] = 2
    room.server.faults.extend([Fault(error="internalError")] * 4)
    with pytest.raises(QuotaSpentError):
        await room.youtube.videos(["short000001"])
    assert len(room.server.calls) == 2


async def test_a_body_without_end_is_not_read_to_its_end(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.shorts.youtube.MAX_BODY_BYTES", 1_000)
    with pytest.raises(SourceError, match="more than 1000 bytes"):
        await room.youtube.videos(["short000001"])


async def test_no_connection_is_a_transient_failure(unused_tcp_port: int) -> None:
    async def sleep(seconds: float) -> None:
        await asyncio.sleep(0)

    url = f"http://127.0.0.1:{unused_tcp_port}/youtube/v3"
    async with YouTube(Secret(KEY), quota=FakeLedger(), url=url, sleep=sleep) as youtube:
        with pytest.raises(SourceError) as caught:
            await youtube.videos(["short000001"])
    assert caught.value.is_transient


@pytest.mark.parametrize("url", ["http://www.googleapis.com/youtube/v3", "http://10.0.0.1/", "http://127.0.0.1.test/x"])
def test_the_key_is_never_sent_in_clear(url: str) -> None:
    with pytest.raises(SettingsError, match="in clear"):
        YouTube(Secret(KEY), quota=FakeLedger(), url=url)
    for good in ("http://localhost:1/x", "http://[::1]:1/x", "https://www.googleapis.com/youtube/v3"):
        YouTube(Secret(KEY), quota=FakeLedger(), url=good)


async def test_it_is_a_context_manager() -> None:
    with pytest.raises(RuntimeError, match="async with"):
        await YouTube(Secret(KEY), quota=FakeLedger()).videos(["short000001"])


def answering(answer: object, status: int) -> httpx.AsyncClient:
    def handler(request: httpx.Request) -> httpx.Response:
        return httpx.Response(status, content=json.dumps(answer).encode())

    return httpx.AsyncClient(transport=httpx.MockTransport(handler))


async def nap(seconds: float) -> None:
    """No time passes."""


Ask = Callable[[YouTube], Any]
ASKS: list[Ask] = [
    lambda youtube: youtube.videos(["short000001"]),
    lambda youtube: youtube.channels(["UCa"]),
    lambda youtube: youtube.search("x", region="KR"),
    lambda youtube: youtube.most_popular("KR"),
    lambda youtube: youtube.categories("KR"),
]
KINDS = ["videoListResponse", "channelListResponse", "searchListResponse", "videoListResponse"]
LISTS = st.builds(
    lambda kind, items, more: {**more, "kind": f"youtube#{kind}", "items": items},
    st.sampled_from([*KINDS, "videoCategoryListResponse"]),
    st.lists(
        ANY_JSON | st.builds(lambda name, more: {**more, "id": name}, ANY_JSON, st.dictionaries(st.text(), ANY_JSON))
    ),
    st.dictionaries(st.sampled_from(["nextPageToken", "pageInfo", "etag"]), ANY_JSON),
)


@settings(deadline=None)
@given(
    answer=(ANY_JSON | LISTS | st.builds(lambda error: {"error": error}, ANY_JSON)),
    status=st.sampled_from([200, 200, 200, 400, 401, 403, 404, 418, 429, 500, 503]),
    ask=st.sampled_from(ASKS),
)
async def test_no_answer_makes_a_crash(answer: object, status: int, ask: Ask) -> None:
    """S-264: whatever YouTube answers, we have its facts or one of our errors."""
    http = answering(answer, status)
    async with http, YouTube(Secret(KEY), quota=FakeLedger(), http=http, sleep=nap) as youtube:
        try:
            await ask(youtube)
        except SourceError as error:
            said = {error.say("en"), error.say("ko")}
        else:
            said = {"facts"}
    assert all(said)


async def refused(answer: bytes) -> SourceError:
    async with saying(answer) as url:

        async def sleep(seconds: float) -> None:
            """Lets no time pass."""

        async with YouTube(Secret(KEY), quota=FakeLedger(), url=url, sleep=sleep, now=lambda: NOW) as youtube:
            with pytest.raises(SourceError) as caught:
                await youtube.search("cat", region="KR")
    return caught.value


def body(content: bytes, *headers: bytes, status: bytes = b"200 OK") -> bytes:
    lines = [b"HTTP/1.1 " + status, *headers, b"Content-Length: %d" % len(content), b"", content]
    return b"\r\n".join(lines)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\n" + KEY.encode() + b" x: 1\r\n\r\n",
        body(json.dumps({"error": {"message": KEY, "errors": [{"reason": KEY}]}}).encode(), status=b"401 No"),
    ],
)
async def test_what_the_server_sends_back_of_the_key_is_in_no_message(answer: bytes) -> None:
    error = await refused(answer)
    assert "********" in str(error)
    assert KEY not in str(error) + str(error.values)


async def test_a_gzip_in_a_gzip_is_not_unpacked() -> None:
    packed = gzip.compress(gzip.compress(bytes(1_000_000)))
    assert "packed twice" in str(await refused(body(packed, b"Content-Encoding: gzip, gzip")))


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("Mon, 01 Jan 2020 00:00:00 +99999999999999", None),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 86_400.0),
        ("999999999", 86_400.0),
        ("-5", None),
    ],
)
async def test_a_wait_beyond_reason_is_a_day_or_nothing(header: str, seconds: float | None) -> None:
    error = await refused(body(b"{}", b"Retry-After: " + header.encode(), status=b"503 No"))
    assert error.is_transient
    assert error.values["retry_after_seconds"] == seconds


@pytest.mark.parametrize(
    ("items", "token", "problem"), [(101, "t", "101 items"), (1, "t" * 1_001, "a page token of 1001 characters")]
)
async def test_a_page_of_more_than_anybody_asked_for_is_none(items: int, token: str, problem: str) -> None:
    listed = [{"id": {"videoId": f"short{number}"}} for number in range(items)]
    page = {"kind": "youtube#searchListResponse", "nextPageToken": token, "items": listed}
    assert problem in str(await refused(body(json.dumps(page).encode())))
