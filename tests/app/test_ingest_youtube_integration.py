"""The commands and the worker against the running stack, with the mock of YouTube behind them."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import psycopg
import pytest

from app.client import Client
from app.config import Secret, Settings
from app.shorts.freshness import QueueInput
from app.shorts.refresh import RefreshApi, RefreshReport, refresh_videos
from app.shorts.youtube import YouTube
from scripts.local_stack.settings import Stack
from tests.youtube_server import Fault, YouTubeServer
from tests.youtube_server.server import KEY

from .test_cli import environment, ondol

pytestmark = pytest.mark.usefixtures("without_queueing")

UNITS = "select used from private.quota_days where bucket = %s and day = private.pacific_day()"


@pytest.fixture
async def server() -> AsyncIterator[YouTubeServer]:
    async with YouTubeServer() as server:
        yield server


@pytest.fixture
def settings(stack: Stack) -> Settings:
    return Settings(
        stack.api_url, Secret(stack.keys.publishable), secret_key=Secret(stack.keys.secret), timeout_seconds=30
    )


@pytest.fixture
async def api(settings: Settings) -> AsyncIterator[RefreshApi]:
    async with Client(settings, key=settings.secret_key) as client:
        yield RefreshApi(client)


@pytest.fixture(autouse=True)
def clean(stack: Stack) -> Iterator[None]:
    """An empty queue, an unspent quota with its true limits, and no video of an earlier test, before and after."""
    tidy(stack)
    yield
    tidy(stack)


def tidy(stack: Stack) -> None:
    with psycopg.connect(stack.database_url()) as connection:
        connection.execute("delete from private.refresh_queue")
        connection.execute("delete from private.quota_days")
        connection.execute("delete from private.ingest_runs where source = 'youtube'")
        connection.execute("delete from public.cached_videos where video_id like 'yt-%'")
        connection.execute("delete from public.cached_channels where channel_id like 'UCyt-%'")
        connection.execute("update private.quota_limits set daily_limit = 10000 where bucket = 'youtube_units'")
        connection.execute("update private.quota_limits set daily_limit = 100 where bucket = 'youtube_search'")


def ask(stack: Stack, query: str, *values: object) -> list[Any]:
    """Rows of a query; of one column its values."""
    with psycopg.connect(stack.database_url()) as connection:
        rows = connection.execute(query, values).fetchall()
    return [row[0] if len(row) == 1 else row for row in rows]


def units(stack: Stack, bucket: str = "youtube_units") -> int:
    return next(iter(ask(stack, UNITS, bucket)), 0)


def keys(stack: Stack, server: YouTubeServer) -> dict[str, str]:
    return {
        "SUPABASE_URL": stack.api_url,
        "SUPABASE_PUBLISHABLE_KEY": stack.keys.publishable,
        "SUPABASE_SECRET_KEY": stack.keys.secret,
        "YOUTUBE_API_KEY": KEY,
        "YOUTUBE_API_URL": server.url,
    }


async def queue(api: RefreshApi, ids: Sequence[str]) -> None:
    for begin in range(0, len(ids), 5_000):
        await api.queue_videos([QueueInput(video_id=item, reason="requested") for item in ids[begin : begin + 5_000]])


async def refresh(api: RefreshApi, server: YouTubeServer, *, timeout: float = 30.0, **options: Any) -> RefreshReport:  # noqa: ASYNC109
    async def nap(seconds: float) -> None:
        await asyncio.sleep(0)

    async with YouTube(Secret(KEY), quota=api, url=server.url, timeout_seconds=timeout, sleep=nap) as youtube:
        return await refresh_videos(api, youtube, sleep=nap, **options)


async def test_ten_thousand_ids_are_two_hundred_calls_and_units(
    stack: Stack, api: RefreshApi, server: YouTubeServer
) -> None:
    """S-192, S-215: exactly 200 calls of videos.list and 200 units in the ledger."""
    ids = [f"yt-{number:08}" for number in range(10_000)]
    for video_id in set(ids) - set(ids[7::100]):  # a hundred are gone
        server.add_video(video_id)
    await queue(api, ids)
    report = await refresh(api, server, with_channels=False)
    assert (report.calls, report.refreshed, report.gone, report.left) == (200, 9_900, 100, 0)
    assert server.counted("videos") == len(server.calls) == 200
    assert units(stack) == 200
    assert sorted(item for call in server.calls for item in call.ids) == ids
    assert ask(stack, "select count(*) from private.refresh_queue") == [0]
    assert ask(stack, "select count(*) from public.cached_videos where video_id like 'yt-%%'") == [9_900]


async def test_what_youtube_says_decides_what_plays(stack: Stack, api: RefreshApi, server: YouTubeServer) -> None:
    """S-033, S-264: region, age, privacy, embedding, live and deletion, from the resource to the database's answer."""
    server.add_video("yt-plays")
    server.add_video("yt-blocked", contentDetails={"regionRestriction": {"blocked": ["KR"]}})
    server.add_video("yt-allowed", contentDetails={"regionRestriction": {"allowed": ["US"]}})
    server.add_video("yt-nowhere", contentDetails={"regionRestriction": {"allowed": []}})
    server.add_video("yt-age", contentDetails={"contentRating": {"ytRating": "ytAgeRestricted"}})
    server.add_video("yt-private", status={"privacyStatus": "private"})
    server.add_video("yt-upcoming", snippet={"liveBroadcastContent": "upcoming"}, contentDetails={"duration": "P0D"})
    server.add_video("yt-noembed", status={"embeddable": False})
    server.add_video("yt-deleted")
    ids = sorted(server.videos)
    await queue(api, ids)
    assert (await refresh(api, server, with_channels=False)).refreshed == 9
    assert await api.is_playable_in("yt-deleted", region="KR")

    del server.videos["yt-deleted"]
    age_the_cache(stack)
    await queue(api, ids)
    assert (await refresh(api, server, with_channels=False)).gone == 1
    plays = {region: [item for item in ids if await api.is_playable_in(item, region=region)] for region in ("KR", "US")}
    assert plays == {"KR": ["yt-plays"], "US": ["yt-allowed", "yt-blocked", "yt-plays"]}


def age_the_cache(stack: Stack) -> None:
    """As if the cache were two hours older: what is younger than an hour is not asked again."""
    with psycopg.connect(stack.database_url()) as connection:
        connection.execute(
            "update public.cached_videos set collected_at = collected_at - interval '2 hours'"
            " where video_id like 'yt-%'"
        )


@pytest.mark.parametrize(
    ("faults", "calls"),
    [
        ([Fault(error="internalError")], 3),
        ([Fault(error="tooManyRequests", retry_after="5")], 3),
        ([Fault(error="rateLimitExceeded")], 3),
        ([Fault(cut=300)], 3),
        ([Fault(wait=1.5)], 3),
        ([Fault(error="backendError"), Fault(cut=1), Fault(wait=1.5), None, Fault(body=b"[")], 6),
    ],
    ids=["500", "429", "403-rate", "truncated", "slow", "mixed"],
)
async def test_faults_that_pass_lose_nothing(
    stack: Stack, api: RefreshApi, server: YouTubeServer, faults: list[Fault | None], calls: int
) -> None:
    ids = [f"yt-{number:04}" for number in range(100)]
    for video_id in ids:
        server.add_video(video_id)
    server.faults.extend(faults)
    await queue(api, ids)
    report = await refresh(api, server, timeout=1.0, with_channels=False)
    assert (report.refreshed, report.failures) == (100, 0)
    assert units(stack) == len(server.calls) == calls


async def test_quota_exceeded_closes_the_day_and_keeps_the_queue(
    stack: Stack, server: YouTubeServer, api: RefreshApi, tmp_path: Path
) -> None:
    """S-192: the command ends with 0 and a sentence; nothing is asked any more that day, nothing is lost."""
    ids = [f"yt-{number:04}" for number in range(100)]
    for video_id in ids:
        server.add_video(video_id)
    server.faults.extend([None, Fault(error="quotaExceeded")])
    await queue(api, ids)
    done = await asyncio.to_thread(
        ondol, "ingest", "refresh", "--no-channels", "--json", cwd=tmp_path, **keys(stack, server)
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert (answer["refreshed"], answer["released"], answer["quota"]["bucket"]) == (50, 50, "youtube_units")
    assert "The quota youtube_units is spent: 10000 of 10000" in done.stderr
    again = await asyncio.to_thread(
        ondol, "ingest", "youtube", "--video", "yt-more", cwd=tmp_path, **keys(stack, server)
    )
    assert again.returncode == 0, again.stderr
    assert len(server.calls) == 2
    assert ask(stack, "select count(*) from private.refresh_queue where lease is null") == [51]


async def test_a_refusal_ends_the_command_with_1(
    stack: Stack, server: YouTubeServer, api: RefreshApi, tmp_path: Path
) -> None:
    server.faults.append(Fault(error="accessNotConfigured"))
    await queue(api, ["yt-1"])
    done = await asyncio.to_thread(ondol, "ingest", "refresh", cwd=tmp_path, **keys(stack, server))
    assert done.returncode == 1
    assert done.stderr.startswith("YouTube refused videos.list: 403 accessNotConfigured")
    assert KEY not in done.stderr + done.stdout
    assert ask(stack, "select lease from private.refresh_queue") == [None]


async def test_with_a_limit_of_seven_no_eighth_call_is_made(
    stack: Stack, server: YouTubeServer, api: RefreshApi, tmp_path: Path
) -> None:
    """S-192: two commands at once, retries among their calls."""
    ids = [f"yt-{number:04}" for number in range(600)]
    for video_id in ids:
        server.add_video(video_id)
    server.faults.extend([None, Fault(error="internalError"), None, Fault(cut=9)])
    with psycopg.connect(stack.database_url()) as connection:
        connection.execute("update private.quota_limits set daily_limit = 7 where bucket = 'youtube_units'")
    await queue(api, ids)
    command = ("ingest", "refresh", "--no-channels")
    both = await asyncio.gather(
        *(asyncio.to_thread(ondol, *command, cwd=tmp_path, **keys(stack, server)) for _ in range(2))
    )
    assert [done.returncode for done in both] == [0, 0], [done.stderr for done in both]
    assert len(server.calls) == units(stack) == 7
    assert ask(stack, "select count(*) from public.cached_videos where video_id like 'yt-%%'") == [250]
    assert ask(stack, "select count(*) from private.refresh_queue") == [350]


async def begun(stack: Stack, server: YouTubeServer, tmp_path: Path, calls: int) -> subprocess.Popen[str]:
    """The worker as a process of its own, in the middle of its call number `calls`."""
    # A background shell hands down an ignored SIGINT; a terminal does not.
    code = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from app.cli import main; main()"
    process = subprocess.Popen(  # noqa: ASYNC220
        [sys.executable, "-c", code, "ingest", "refresh", "--no-channels"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
        env=environment(**keys(stack, server)),
        text=True,
    )
    wanted = len(server.calls) + calls
    async with asyncio.timeout(60):
        while len(server.calls) < wanted:
            server.reached.clear()
            await server.reached.wait()
    return process


async def test_kill_9_loses_nothing_and_never_goes_beyond_the_limit(
    stack: Stack, server: YouTubeServer, api: RefreshApi, tmp_path: Path
) -> None:
    """S-215: killed again and again in the middle, every id ends refreshed or gone."""
    ids = [f"yt-{number:04}" for number in range(700)]
    there = sorted(set(ids) - set(ids[7::14]))
    for video_id in there:
        server.add_video(video_id)
    await queue(api, ids)
    server.delay = 0.1
    kills = 4
    for number in range(1, kills + 1):
        process = await begun(stack, server, tmp_path, calls=number)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        let_leases_run_out(stack)
    done = await asyncio.to_thread(ondol, "ingest", "refresh", "--no-channels", cwd=tmp_path, **keys(stack, server))
    assert done.returncode == 0, done.stderr
    assert ask(stack, "select count(*) from private.refresh_queue") == [0]
    stored = ask(stack, "select video_id from public.cached_videos where video_id like 'yt-%%' order by video_id")
    assert stored == there
    assert {item for call in server.calls for item in call.ids} == set(ids)
    assert len(server.calls) <= units(stack) <= len(server.calls) + kills
    assert len(server.calls) <= 14 + kills


def let_leases_run_out(stack: Stack) -> None:
    """As if five minutes had passed."""
    with psycopg.connect(stack.database_url()) as connection:
        connection.execute("update private.refresh_queue set leased_until = now() where lease is not null")


async def test_ctrl_c_gives_the_lease_back_and_ends_with_130(
    stack: Stack, server: YouTubeServer, api: RefreshApi, tmp_path: Path
) -> None:
    for number in range(200):
        server.add_video(f"yt-{number:04}")
    await queue(api, sorted(server.videos))
    server.delay = 0.3
    process = await begun(stack, server, tmp_path, calls=2)
    process.send_signal(signal.SIGINT)
    out, err = await asyncio.to_thread(process.communicate, timeout=30)
    assert (process.returncode, out, err) == (130, "", "")
    assert ask(stack, "select count(*) from private.refresh_queue where lease is null and due_at <= now()") == [150]
    server.delay = 0
    assert (await refresh(api, server, with_channels=False)).refreshed == 150


async def test_a_search_becomes_playable_videos_with_their_rank(
    stack: Stack, server: YouTubeServer, tmp_path: Path
) -> None:
    """Search, queue, refresh and store by one command; a second run of it finds all fresh."""
    found = [f"yt-{number:04}" for number in range(60)]
    server.searches["온돌 고양이"] = found
    for video_id in found:
        server.add_video(video_id)
    command = ("ingest", "youtube", "온돌 고양이", "--region", "KR", "--pages", "2", "--json")
    done = await asyncio.to_thread(ondol, *command, cwd=tmp_path, **keys(stack, server))
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert (answer["discovered"]["pages"], answer["discovered"]["queued"], answer["refreshed"]["refreshed"]) == (
        2,
        60,
        60,
    )
    assert (units(stack, "youtube_search"), server.counted("search"), server.counted("videos")) == (2, 2, 2)
    mapped = ask(
        stack,
        "select video_id, search_rank, mapping_source from public.keyword_video_mappings"
        " where keyword = '온돌 고양이' order by search_rank",
    )
    assert mapped == [(video_id, rank, "youtube_api") for rank, video_id in enumerate(found, start=1)]

    again = await asyncio.to_thread(ondol, *command, cwd=tmp_path, **keys(stack, server))
    answer = json.loads(again.stdout)
    assert (answer["discovered"]["known"], answer["refreshed"]["claimed"]) == (60, 0)


async def test_an_interrupted_search_goes_on_without_paying_again(
    stack: Stack, server: YouTubeServer, tmp_path: Path
) -> None:
    for query in ("가", "나", "다"):
        server.searches[query] = [f"yt-{query.encode().hex()}"]
    with psycopg.connect(stack.database_url()) as connection:
        connection.execute("update private.quota_limits set daily_limit = 2 where bucket = 'youtube_search'")
    command = ("ingest", "youtube", "가", "나", "다", "--json")
    first = await asyncio.to_thread(ondol, *command, cwd=tmp_path, **keys(stack, server))
    assert first.returncode == 0, first.stderr
    assert json.loads(first.stdout)["discovered"]["quota"]["bucket"] == "youtube_search"
    with psycopg.connect(stack.database_url()) as connection:
        connection.execute("update private.quota_limits set daily_limit = 100 where bucket = 'youtube_search'")
    second = await asyncio.to_thread(ondol, *command, cwd=tmp_path, **keys(stack, server))
    assert json.loads(second.stdout)["discovered"]["resumed"] is True
    assert [call.query["q"] for call in server.calls if call.path == "search"] == ["가", "나", "다"]
    said = await asyncio.to_thread(ondol, "ingest", "status", cwd=tmp_path, **keys(stack, server))
    assert said.returncode == 0, said.stderr
    assert "youtube_search" in said.stdout


async def test_a_dry_run_sends_nothing(stack: Stack, server: YouTubeServer, api: RefreshApi, tmp_path: Path) -> None:
    await queue(api, [f"yt-{number:04}" for number in range(120)])
    done = await asyncio.to_thread(
        ondol, "ingest", "refresh", "--dry-run", "--json", cwd=tmp_path, **keys(stack, server)
    )
    assert json.loads(done.stdout) == {"dry_run": True, "videos": 120, "units": 3, "units_left": 10_000}
    said = await asyncio.to_thread(ondol, "ingest", "refresh", "--dry-run", cwd=tmp_path, **keys(stack, server))
    assert said.stdout.startswith("120 videos are due: 3 units")
    status = await asyncio.to_thread(ondol, "ingest", "status", "--json", cwd=tmp_path, **keys(stack, server))
    assert json.loads(status.stdout)["queue"]["due"] == 120
    assert server.calls == []
    assert units(stack) == 0


async def test_channels_are_asked_at_most_once_a_day(
    stack: Stack, server: YouTubeServer, api: RefreshApi, tmp_path: Path
) -> None:
    """Channels of what was found, fifty a unit; the second run of the day asks none, the next day's all."""
    for number in range(60):
        server.add_channel(f"UCyt-{number}")
        server.add_video(f"yt-{number:04}", snippet={"channelId": f"UCyt-{number}"})
    ids = sorted(server.videos)
    for run, (later, asked, calls) in enumerate([("2 hours", 60, 2), ("2 days", 0, 2), ("0 hours", 60, 4)], start=1):
        await queue(api, ids)
        done = await asyncio.to_thread(ondol, "ingest", "refresh", "--json", cwd=tmp_path, **keys(stack, server))
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["channels"] == asked
        assert (server.counted("channels"), server.counted("videos")) == (calls, 2 * run)
        age_the_cache(stack)
        with psycopg.connect(stack.database_url()) as connection:
            connection.execute(
                "update public.cached_channels set collected_at = collected_at - %s::interval"
                " where channel_id like 'UCyt-%%'",
                (later,),
            )
    assert units(stack) == len(server.calls) == 10
    counts = ask(stack, "select distinct subscriber_count from public.cached_channels where channel_id like 'UCyt-%%'")
    assert counts == [51_200]


async def test_watching_goes_on_until_ctrl_c(
    stack: Stack, server: YouTubeServer, api: RefreshApi, tmp_path: Path
) -> None:
    server.add_video("yt-0001")
    server.add_video("yt-0002")
    await queue(api, ["yt-0001"])
    code = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from app.cli import main; main()"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", code, "ingest", "refresh", "--no-channels", "--watch", "1", "--json"),
        stdout=subprocess.PIPE,
        cwd=tmp_path,
        env=environment(**keys(stack, server)),
    )
    assert process.stdout is not None
    async with asyncio.timeout(60):
        first = json.loads(await process.stdout.readline())
        await queue(api, ["yt-0002"])
        rounds = [first]
        while sum(report["refreshed"] for report in rounds) < 2:
            rounds.append(json.loads(await process.stdout.readline()))
        process.send_signal(signal.SIGINT)
        assert await process.wait() == 130
