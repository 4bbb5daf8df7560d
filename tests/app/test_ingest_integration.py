"""The client and the command against the running stack: real SQL, real HTTP, real Realtime."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from app.client import Client
from app.config import Secret, Settings
from app.errors import InvalidRequestError, NotAllowedError, NotFoundError
from app.shorts.api import ShortsApi, SignalInput, Trend, TrendRow
from app.shorts.ingest import ingest_dataset
from app.shorts.replay import replay_trends
from app.shorts.watch import watch_trends
from scripts.local_stack.settings import Stack

from .shorts.datasets import chart_row, video_row, write_broken_dataset, write_dataset
from .test_cli import ondol

pytestmark = pytest.mark.usefixtures("without_purge")

REGION = "IS"  # no other test counts there


@pytest.fixture
def settings(stack: Stack) -> Settings:
    return Settings(
        stack.api_url, Secret(stack.keys.publishable), secret_key=Secret(stack.keys.secret), timeout_seconds=30
    )


@pytest.fixture
async def service(settings: Settings) -> AsyncIterator[ShortsApi]:
    async with Client(settings, key=settings.secret_key) as client:
        yield ShortsApi(client)


@pytest.fixture
async def anybody(settings: Settings) -> AsyncIterator[ShortsApi]:
    async with Client(settings) as client:
        yield ShortsApi(client)


@pytest.fixture(autouse=True)
def clean(stack: Stack) -> None:
    """Forget what an earlier test of this file left, so that each counts from nothing."""
    with psycopg.connect(stack.database_url()) as connection:
        connection.execute("delete from public.cached_videos where video_id like 'video%'")
        connection.execute(
            "delete from private.keyword_signals where region_code = %s or bucket::date = '2026-07-10'", (REGION,)
        )
        connection.execute("delete from public.trending_keywords where region_code = %s", (REGION,))
        connection.execute("delete from ops.outbox where dedupe_key like %s", (f"{REGION}:%",))


async def test_a_broken_data_set_loads_its_good_rows_and_repeats_without_a_change(
    tmp_path: Path, service: ShortsApi, stack: Stack
) -> None:
    expected = write_broken_dataset(tmp_path)
    report = await ingest_dataset(tmp_path, into=service)
    assert {(refusal.file, refusal.line): refusal.code for refusal in report.refusals} == expected
    assert report.refused_count == len(expected)
    assert (report.videos.inserted, report.videos.rejected) == (3, 0)
    assert report.signals.inserted == report.signals.received > 0

    with psycopg.connect(stack.database_url()) as connection:
        video = connection.execute(
            "select title, view_count, duration, is_shorts from public.cached_videos where video_id = 'video000001'"
        ).fetchone()
        assert video == ("김치 레시피 #김치", 1500, 58, True)
        keywords = connection.execute(
            "select keyword, relevance_score from public.keyword_video_mappings"
            " where video_id = 'video000001' order by relevance_score desc"
        ).fetchall()
        assert keywords[0] == ("김치", 1.0)
        mentions = connection.execute(
            "select extract(hour from bucket at time zone 'UTC')::int, mentions, views"
            " from private.keyword_signals where keyword = '김치' and region_code = 'KR'"
            " and bucket::date = '2026-07-10' order by bucket"
        ).fetchall()
        assert mentions == [(0, 1, 0), (6, 1, 500)]

    again = await ingest_dataset(tmp_path, into=service)
    assert again.refused == report.refused
    for totals, first in ((again.videos, report.videos), (again.signals, report.signals)):
        assert (totals.inserted, totals.updated, totals.unchanged) == (0, 0, first.inserted)


async def test_what_only_the_database_refuses_comes_back_with_its_line(tmp_path: Path, service: ShortsApi) -> None:
    future = (datetime.now(UTC) + timedelta(days=400)).isoformat()
    chart = [chart_row(), chart_row(future, video="video000002")]
    write_dataset(tmp_path, chart=chart, videos=[video_row(), video_row("video000002", title="미래에서 온 강아지")])
    report = await ingest_dataset(tmp_path, into=service)
    places = {(refusal.file, refusal.line, refusal.code) for refusal in report.refusals}
    assert places == {("videos.csv", 3, "ON006"), ("chart.csv", 3, "ON006")}
    assert (report.videos.inserted, report.videos.rejected) == (1, 1)


def test_the_command_reports_the_same_and_ends_with_3(tmp_path: Path, stack: Stack) -> None:
    expected = write_broken_dataset(tmp_path)
    keys = {"SUPABASE_PUBLISHABLE_KEY": stack.keys.publishable, "SUPABASE_SECRET_KEY": stack.keys.secret}
    done = ondol("ingest", "dataset", ".", "--json", cwd=tmp_path, SUPABASE_URL=stack.api_url, **keys)
    assert done.returncode == 3, done.stderr
    report = json.loads(done.stdout)
    assert report["refused"]["count"] == len(expected)
    assert {(row["file"], row["line"]): row["code"] for row in report["refusals"]} == expected

    said = ondol("ingest", "dataset", ".", cwd=tmp_path, SUPABASE_URL=stack.api_url, **keys)
    assert said.returncode == 3
    assert "videos.csv:4: title '가가" in said.stderr
    assert said.stdout.splitlines()[1].split() == ["kind", "sent", "inserted", "updated", "unchanged", "refused"]

    good = write_dataset(tmp_path / "good", chart=[chart_row()], videos=[video_row()])
    assert ondol("ingest", "dataset", str(good), cwd=tmp_path, SUPABASE_URL=stack.api_url, **keys).returncode == 0


def test_doctor_finds_the_stack_well(tmp_path: Path, stack: Stack) -> None:
    keys = {"SUPABASE_PUBLISHABLE_KEY": stack.keys.publishable, "SUPABASE_SECRET_KEY": stack.keys.secret}
    done = ondol("doctor", "--json", cwd=tmp_path, SUPABASE_URL=stack.api_url, ONDOL_TIMEOUT_SECONDS="60", **keys)
    assert done.returncode == 0, done.stdout
    assert len(json.loads(done.stdout)["checks"]) == 9


async def test_errors_of_the_real_backend_are_ours(anybody: ShortsApi, service: ShortsApi) -> None:
    with pytest.raises(NotAllowedError) as denied:
        await anybody.ingest_videos([])
    assert denied.value.code == "42501"
    assert denied.value.status in (401, 403)
    with pytest.raises(InvalidRequestError) as wrong:
        await service.detect_trends(region="XX")
    assert (wrong.value.code, wrong.value.status) == ("PT400", 400)
    assert wrong.value.hint
    with pytest.raises(NotFoundError):
        await service.client.call("no_such_function", {})


def burst(at: datetime, mentions: int) -> SignalInput:
    return {
        "keyword": "용암빵",
        "region": REGION,
        "bucket": at.isoformat(),
        "source": "youtube_api",
        "mentions": mentions,
    }


async def test_a_burst_reaches_everybody_and_the_service(
    service: ShortsApi, anybody: ShortsApi, settings: Settings, stack: Stack
) -> None:
    """Signals → detection → the broadcast for everybody, the full rows by realtime, and the list of what trends now."""
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    quiet = [burst(now - timedelta(hours=hours), 1) for hours in range(1, 40)]

    ready = asyncio.Queue[None]()
    async with Client(settings) as client, Client(settings, key=settings.secret_key) as secret:
        public = watch_trends(client, region=REGION, on_subscribed=lambda: ready.put_nowait(None))
        full = watch_trends(secret, region=REGION, on_subscribed=lambda: ready.put_nowait(None))
        async with aclosing(public), aclosing(full), asyncio.timeout(30):
            heard = [asyncio.create_task(first_of(public)), asyncio.create_task(first_of(full))]
            for _ in heard:
                await ready.get()
            await service.ingest_keyword_signals([*quiet, burst(now, 40)])
            await service.detect_trends(region=REGION)
            broadcast, row = await asyncio.gather(*heard)
    assert broadcast.keyword == row.keyword == "용암빵"
    assert broadcast.trend_score == pytest.approx(row.trend_score)
    assert not isinstance(broadcast, TrendRow)
    assert isinstance(row, TrendRow)
    assert row.hourly_trend_data[-2:] == [1, 40]

    open_now = await anybody.trending_now(REGION)
    assert [trend.keyword for trend in open_now] == ["용암빵"]
    assert (await anybody.trending_now(REGION, limit=0)) == []
    assert (await service.detect_trends(region=REGION)).notified == 0
    with psycopg.connect(stack.database_url()) as connection:
        told = connection.execute(
            "select count(*) from ops.outbox where dedupe_key like %s", (f"{REGION}:%",)
        ).fetchone()
    assert told == (1,)


async def first_of(trends: AsyncIterator[Trend]) -> Trend:
    return await anext(trends)


async def test_a_replay_finds_the_burst_on_the_data_sets_own_clock(tmp_path: Path, service: ShortsApi) -> None:
    start = datetime(2026, 7, 1, tzinfo=UTC)
    times = [(start + timedelta(hours=6 * step)).isoformat() for step in range(20)]
    everyday = [chart_row(at, country=REGION, video="video000001") for at in times]
    rush = [chart_row(times[-1], country=REGION, video=f"video{n:06}") for n in range(100, 130)]
    videos = [video_row(countries=REGION)]
    videos += [
        video_row(f"video{n:06}", title=f"용암빵 {chr(0xAC00 + n)}집", countries=REGION) for n in range(100, 130)
    ]
    write_dataset(tmp_path, chart=[*everyday, *rush], videos=videos)
    await ingest_dataset(tmp_path, into=service)
    report = await replay_trends(tmp_path, into=service, region=REGION)
    assert report.steps == 20
    assert [trend.keyword for trend in report.trends] == ["용암빵"]
    trend = report.trends[0]
    assert trend.detected_at == datetime.fromisoformat(times[-1])
    assert trend.trend_score > 0.8
    assert trend.hourly_trend_data[-1] == 30


async def test_the_real_data_set_loads_whole_and_repeats_without_a_change(
    shared_data: Path, service: ShortsApi
) -> None:
    """KR only, to keep the run short; every row of every country is read."""
    folder = shared_data / "youtube-8countries-2026-07"
    first = await ingest_dataset(folder, into=service, regions=["KR"])
    assert (first.videos_read, first.chart_rows_read, first.refused_count) == (21_531, 74_382, 0)
    assert first.videos.received == 2_497
    again = await ingest_dataset(folder, into=service, regions=["KR"])
    assert again.videos.unchanged == 2_497
    assert again.signals.unchanged == first.signals.received
    assert first.seconds < 30
