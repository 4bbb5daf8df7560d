"""The real handler process with all its handlers open, asked over HTTP; what it stored is read from the database."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import socket
import sys
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import psycopg
import pytest

from functions import bright_data
from scripts.local_stack.settings import REPOSITORY, Stack
from tests.bright_data_server import scraped_row

from .room import TOKEN
from .signing import OTHER_SECRET, SECRET, signed_headers

MARK = "inbnd"  # every id that these tests make begins with it


@pytest.fixture
async def client(stack: Stack) -> AsyncIterator[httpx.AsyncClient]:
    """A process of `uvicorn functions.server:app` of its own, with a secret for each handler."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = {
        "PATH": os.environ["PATH"],
        "SUPABASE_URL": stack.api_url,
        "SUPABASE_SECRET_KEY": stack.keys.secret,
        "BRIGHT_DATA_WEBHOOK_TOKEN": TOKEN,
        **{f"{name}_WEBHOOK_SECRET": SECRET for name in ("TREND", "YOUTUBE", "TRENDS", "AI")},
    }
    command = [sys.executable, "-m", "uvicorn", "functions.server:app", "--host", "127.0.0.1", "--port", str(port)]
    process = await asyncio.create_subprocess_exec(*command, "--log-level", "warning", cwd=REPOSITORY, env=environment)
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            for _ in range(200):
                with suppress(httpx.TransportError):
                    await client.get("/health")
                    break
                await asyncio.sleep(0.1)
            yield client
    finally:
        process.terminate()
        await process.wait()


@pytest.fixture
def database(stack: Stack) -> Iterator[psycopg.Connection[Any]]:
    """A connection that sees each statement at once; what these tests made is gone before and after."""
    with psycopg.connect(stack.database_url(), autocommit=True) as connection:
        forget(connection)
        yield connection
        forget(connection)


def forget(database: psycopg.Connection[Any]) -> None:
    for table in ("private.refresh_queue", "public.cached_videos"):
        database.execute(f"delete from {table} where video_id like %s", (f"{MARK}%",))  # noqa: S608 -- names above
    database.execute("delete from public.trending_keywords where keyword like %s", (f"{MARK}%",))
    database.execute("delete from private.keyword_signals where keyword like %s", (f"{MARK}%",))
    database.execute("delete from ops.outbox where data ->> 'keyword' like %s", (f"{MARK}%",))


async def send(client: httpx.AsyncClient, name: str, content: Any, **signing: Any) -> httpx.Response:
    body = json.dumps(content).encode()
    signing = {"timestamp": int(time.time()), "webhook_id": f"msg_{uuid.uuid4().hex}", **signing}
    return await client.post(f"/webhooks/{name}", content=body, headers=signed_headers(body, **signing))


def event(kind: str, data: Any) -> dict[str, Any]:
    return {"type": kind, "timestamp": datetime.now(UTC).isoformat(), "data": data}


def video(video_id: str, **status: Any) -> dict[str, Any]:
    """A resource with the parts and fields that YouTube documents for videos.list, made up."""
    return {
        "kind": "youtube#video",
        "etag": "x",
        "id": video_id,
        "snippet": {
            "publishedAt": "2026-07-10T03:15:00Z",
            "channelId": "UCinbound",
            "title": f"{MARK}김치 담그는 법 #{MARK}김치",
            "description": "배추와 고춧가루",
            "thumbnails": {"high": {"url": f"https://i.ytimg.com/vi/{video_id}/hq.jpg", "width": 480, "height": 360}},
            "channelTitle": "김치 연구소",
            "tags": ["김치"],
            "categoryId": "26",
            "liveBroadcastContent": "none",
        },
        "contentDetails": {
            "duration": "PT1M5S",
            "dimension": "2d",
            "regionRestriction": {"blocked": ["DE", "FR"]},
            "contentRating": {},
        },
        "status": {"uploadStatus": "processed", "privacyStatus": "public", "embeddable": True} | status,
        "statistics": {"viewCount": "1200", "likeCount": "34", "commentCount": "5"},
    }


async def test_videos_list_enters_the_cache(client: httpx.AsyncClient, database: psycopg.Connection[Any]) -> None:
    """S-264: an answer of videos.list, signed, is a row with the right duration and flags; repeated it is the same."""
    body = {
        "kind": "youtube#videoListResponse",
        "items": [video(f"{MARK}Plays"), video(f"{MARK}Locked", embeddable=False), {"id": "no title"}],
    }
    first, again = await send(client, "youtube-videos", body), await send(client, "youtube-videos", body)
    assert (first.status_code, first.json()["inserted"]) == (200, 2), first.text
    assert [refused["index"] for refused in first.json()["rejected"]] == [2]
    assert again.json()["inserted"] == 0
    rows = database.execute(
        "select video_id, duration, is_shorts, is_embeddable, privacy_status, region_restrictions, is_playable,"
        " view_count, channel_name from public.cached_videos where video_id like %s order by video_id",
        (f"{MARK}%",),
    ).fetchall()
    blocked = {"blocked": ["DE", "FR"]}
    assert rows == [
        (f"{MARK}Locked", 65, True, False, "public", blocked, False, 1200, "김치 연구소"),
        (f"{MARK}Plays", 65, True, True, "public", blocked, True, 1200, "김치 연구소"),
    ]
    [keyword] = database.execute(
        "select count(*) from public.keyword_video_mappings where keyword = %s", (f"{MARK}김치",)
    ).fetchall()
    assert keyword == (2,)


@pytest.mark.parametrize("source", ["youtube_api", "bright_data", "internal"])
async def test_a_trend_that_was_told_is_open(
    client: httpx.AsyncClient, database: psycopg.Connection[Any], source: str
) -> None:
    """S-216: a signed sample is a row with that data_source; told again it is the same row, and older news loses."""
    now = datetime.now(UTC)
    trend = {
        "keyword": f"{MARK} 두바이쫀득쿠키",
        "region_code": "KR",
        "data_source": source,
        "trend_score": 0.91,
        "search_volume": 40,
        "observed_at": (now - timedelta(minutes=5)).isoformat(),
    }
    older = {**trend, "trend_score": 0.2, "observed_at": (now - timedelta(minutes=50)).isoformat()}
    answers = [
        await send(client, "trends", event("trends.observed", {"trends": trends}))
        for trends in ([trend, {**trend, "trend_score": 7}], [trend], [older])
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert [(a.json()["inserted"], a.json()["unchanged"]) for a in answers] == [(1, 0), (0, 1), (0, 1)]
    [refused] = answers[0].json()["rejected"]
    assert (refused["index"], refused["code"]) == (1, "ON007")
    rows = database.execute(
        "select data_source, trend_score, search_volume, z_score, model_version, closed_at"
        " from public.trending_keywords where keyword = %s",
        (trend["keyword"],),
    ).fetchall()
    assert rows == [(source, 0.91, 40, None, "told", None)]
    told = database.execute(
        "select event_type from ops.outbox where data ->> 'keyword' = %s order by event_type", (trend["keyword"],)
    ).fetchall()
    assert told == [("trend.detected",), ("trend.updated",)]


async def test_an_analysis_is_one_row_of_scores(client: httpx.AsyncClient, database: psycopg.Connection[Any]) -> None:
    """S-217: the same POST twice with v1.0 leaves one row of scores, with version and confidence."""
    video_id = f"{MARK}Analyzed"
    content = event(
        "video.analyzed",
        {
            "video_id": video_id,
            "analysis": {"categories": ["food"], "keywords": ["김치"], "emotions": {"joy": 0.5}, "model": "x"},
            "analysis_version": "v1.0",
            "confidence": 0.8,
            "scores": {"content_quality_score": 0.7, "thumbnail_attractiveness": 0.6},
        },
    )
    early = await send(client, "ai-analysis", content)
    assert (early.status_code, early.json()["code"]) == (404, "unknown_video")
    await send(client, "youtube-videos", {"items": [video(video_id)]})
    for _ in range(2):
        answer = await send(client, "ai-analysis", content)
        assert (answer.status_code, answer.json()["stored"]) == (200, 1), answer.text
    rows = database.execute(
        "select analysis_version, content_quality_score, thumbnail_attractiveness"
        " from public.video_quality_scores where video_id = %s and analysis_version = 'v1.0'",
        (video_id,),
    ).fetchall()
    assert rows == [("v1.0", 0.7, 0.6)]
    [stored] = database.execute(
        "select ai_analysis from public.cached_videos where video_id = %s", (video_id,)
    ).fetchall()
    assert stored == (content["data"]["analysis"],)
    unknown = {**content["data"], "scores": {"made_up": 0.5}}
    answer = await send(client, "ai-analysis", event("video.analyzed", unknown))
    assert (answer.status_code, answer.json()["code"]) == (400, "refused")


@pytest.mark.parametrize("is_gzip", [False, True])
async def test_a_delivery_of_bright_data_queues_and_plays_nothing(
    client: httpx.AsyncClient, database: psycopg.Connection[Any], is_gzip: bool
) -> None:
    """S-216: what Bright Data delivers is counted under its own source; a scraped row alone never plays."""
    posted = (datetime.now(UTC) - timedelta(hours=3)).replace(minute=15, second=1)
    rows = [
        scraped_row(
            number,
            video_id=f"{MARK}Scrape{number}",
            title=f"{MARK}배추 담그는 법 {number} #{MARK}배추",
            date_posted=posted.isoformat(),
            timestamp=None,
            hashtags=None,
            tags=None,
        )
        for number in range(3)
    ]
    body = json.dumps(rows).encode()
    headers = {"authorization": f"Bearer {TOKEN}"} | ({"content-encoding": "gzip"} if is_gzip else {})
    answers = [
        await client.post(
            "/webhooks/bright-data?region=KR", content=gzip.compress(body) if is_gzip else body, headers=headers
        )
        for _ in range(2)
    ]
    first, again = (answer.json() for answer in answers)
    assert (first["received"], first["queued"], first["stored"], first["rejected"]) == (3, 3, 3, []), first
    assert (again["known"], again["stored"]) == (3, 0)
    videos = database.execute(
        "select is_playable, is_embeddable from public.cached_videos where video_id like %s", (f"{MARK}%",)
    ).fetchall()
    assert videos == [(False, None)] * 3
    [queued] = database.execute(
        "select count(*) from private.refresh_queue where video_id like %s", (f"{MARK}%",)
    ).fetchall()
    assert queued == (3,)
    signals = database.execute(
        "select data_source, region_code, mentions from private.keyword_signals where keyword = %s", (f"{MARK}배추",)
    ).fetchall()
    assert signals == [("bright_data", "KR", 3)]


async def test_what_was_played_on_youtubes_word_is_not_touched_by_a_scraper(
    client: httpx.AsyncClient, database: psycopg.Connection[Any]
) -> None:
    await send(client, "youtube-videos", {"items": [video(f"{MARK}Plays")]})
    ask = "select title, collected_at, expires_at, is_playable from public.cached_videos where video_id = %s"
    before = database.execute(ask, (f"{MARK}Plays",)).fetchone()
    row = scraped_row(video_id=f"{MARK}Plays", title="another title", timestamp=None)
    answer = await client.post(
        "/webhooks/bright-data", content=json.dumps([row]).encode(), headers={"authorization": TOKEN}
    )
    assert answer.json()["known"] == 1
    assert database.execute(ask, (f"{MARK}Plays",)).fetchone() == before


@pytest.mark.parametrize("name", ["youtube-videos", "trends", "ai-analysis"])
@pytest.mark.parametrize("signing", [{"secret": OTHER_SECRET}, {"timestamp": int(time.time()) - 400}])
async def test_forged_and_old_requests_leave_nothing(
    client: httpx.AsyncClient, database: psycopg.Connection[Any], name: str, signing: Any
) -> None:
    """S-216: a bad signature is 401."""
    contents = {
        "youtube-videos": {"items": [video(f"{MARK}Forged")]},
        "trends": event(
            "trends.observed",
            {
                "trends": [
                    {
                        "keyword": f"{MARK}forged",
                        "region_code": "KR",
                        "data_source": "internal",
                        "trend_score": 0.9,
                        "observed_at": datetime.now(UTC).isoformat(),
                    }
                ]
            },
        ),
        "ai-analysis": event("video.analyzed", {"video_id": "x"}),
    }
    answer = await send(client, name, contents[name], **signing)
    assert (answer.status_code, answer.json()["code"]) == (401, "not_genuine")
    [left] = database.execute(
        "select (select count(*) from public.cached_videos where video_id like %s)"
        " + (select count(*) from public.trending_keywords where keyword like %s)",
        (f"{MARK}%", f"{MARK}%"),
    ).fetchall()
    assert left == (0,)


async def test_a_gzip_bomb_is_cut_off_over_a_real_socket(
    client: httpx.AsyncClient, database: psycopg.Connection[Any]
) -> None:
    bomb = gzip.compress(b"[" + b" " * (bright_data.MAX_UNPACKED * 4))
    headers = {"authorization": TOKEN, "content-encoding": "gzip"}
    answer = await client.post("/webhooks/bright-data", content=bomb, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    wrong = await client.post("/webhooks/bright-data", content=bomb, headers=headers | {"authorization": "x"})
    assert wrong.status_code == 401


STRANGE: list[Any] = [
    *(None, True, -1, 0.5, 1e308, 10**400, "", " ", "NaN", "Infinity", "1e999", "x" * 70_000, "ＫＲ", "\U0010ffff"),
    *([], {}, [[[]]], {"a": {"b": []}}, [None], "0001-01-01", "2026-13-40T00:00:00Z", "infinity"),
]


async def test_strange_values_anywhere_are_refused_by_name_and_never_5xx(
    client: httpx.AsyncClient, database: psycopg.Connection[Any]
) -> None:
    """Every place of every body, against the real database."""
    now = datetime.now(UTC).isoformat()
    trend = {
        "keyword": f"{MARK}fuzz",
        "region_code": "KR",
        "data_source": "internal",
        "trend_score": 0.4,
        "observed_at": now,
        "search_volume": 1,
        "growth_rate": 1,
        "source_confidence": 0.5,
        "category": "food",
        "related_keywords": ["a"],
    }
    analysis = {"categories": ["food"], "keywords": ["김치"], "emotions": {"joy": 0.5}}
    analyzed = {
        "video_id": f"{MARK}Fuzz",
        "analysis": analysis,
        "analysis_version": "v1.0",
        "confidence": 0.5,
        "scores": {"content_quality_score": 0.5},
    }
    seen: dict[int, int] = {}
    for strange in STRANGE:
        trends = [{**trend, name: strange} for name in trend]
        resources = [
            *({**video(f"{MARK}Fuzz"), part: strange} for part in video("x")),
            *(
                {**video(f"{MARK}Fuzz"), part: {**video("x")[part], name: strange}}
                for part in ("snippet", "contentDetails", "status", "statistics")
                for name in video("x")[part]
            ),
        ]
        sent = [
            ("trends", event("trends.observed", {"trends": [strange, *trends]})),
            ("youtube-videos", {"items": [strange, *resources]}),
            *(("ai-analysis", event("video.analyzed", {**analyzed, name: strange})) for name in analyzed),
            *(
                ("ai-analysis", event("video.analyzed", {**analyzed, "analysis": {**analysis, name: strange}}))
                for name in analysis
            ),
        ]
        for name, content in sent:
            answer = await send(client, name, content)
            assert answer.status_code in (200, 400, 404, 413), (name, strange, answer.text)
            seen[answer.status_code] = seen.get(answer.status_code, 0) + 1
            told = answer.json()
            assert "code" in told if answer.status_code != 200 else all(r["code"] for r in told["rejected"])
        body = json.dumps([scraped_row() | {"video_id": f"{MARK}Fuzz", name: strange} for name in scraped_row()])
        answer = await client.post("/webhooks/bright-data", content=body.encode(), headers={"authorization": TOKEN})
        assert answer.status_code == 200, (strange, answer.text)
    assert seen[200] > 20
    assert seen[400] > 20
