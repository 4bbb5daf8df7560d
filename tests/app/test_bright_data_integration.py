"""`ondol ingest brightdata` against the running stack; only Bright Data's own server is a mock, over real HTTP."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from scripts.local_stack.settings import Stack
from tests.bright_data_server import MockBrightData, Snapshot, scraped_row, serving
from tests.bright_data_server.server import KEY

from .test_cli import NOWHERE, environment, ondol

pytestmark = pytest.mark.usefixtures("without_queueing")

MARK = "brdat"  # every id and keyword that these tests make begins with it


@pytest.fixture
async def mock() -> AsyncIterator[MockBrightData]:
    async with serving(MockBrightData()) as mock:
        yield mock


@pytest.fixture
def environ(stack: Stack, mock: MockBrightData) -> dict[str, str]:
    return {
        "SUPABASE_URL": stack.api_url,
        "SUPABASE_PUBLISHABLE_KEY": stack.keys.publishable,
        "SUPABASE_SECRET_KEY": stack.keys.secret,
        "BRIGHT_DATA_API_KEY": KEY,
        "BRIGHT_DATA_API_URL": mock.url,
    }


@pytest.fixture
def database(stack: Stack) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(stack.database_url(), autocommit=True) as connection:
        forget(connection)
        yield connection
        forget(connection)


def forget(database: psycopg.Connection[Any]) -> None:
    for table in ("private.refresh_queue", "public.cached_videos"):
        database.execute(f"delete from {table} where video_id like %s", (f"{MARK}%",))  # noqa: S608 -- names above
    database.execute("delete from private.keyword_signals where keyword like %s", (f"{MARK}%",))


def rows(count: int) -> list[dict[str, Any]]:
    posted = (datetime.now(UTC) - timedelta(hours=3)).replace(minute=15, second=1)
    return [
        scraped_row(
            number,
            keyword=f"{MARK}김치",
            video_id=f"{MARK}{number:06d}",
            title=f"{MARK}김치 {number} #{MARK}김치",
            date_posted=posted.isoformat(),
            timestamp=None,
        )
        for number in range(count)
    ]


async def run(*arguments: str, cwd: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """In a thread, because the mock answers in this one."""
    return await asyncio.to_thread(ondol, "ingest", "brightdata", *arguments, cwd=cwd, **environ)


async def test_from_keyword_to_queue_cache_and_signals(
    tmp_path: Path, mock: MockBrightData, environ: dict[str, str], database: psycopg.Connection[Any]
) -> None:
    mock.next_snapshot = Snapshot([*rows(1_200), {"error": "dead"}], states=["ready"], is_gzip=True)
    word = f"{MARK}{uuid4().hex[:8]}"
    done = await run(word, "--limit", "500", "--json", cwd=tmp_path, **environ)
    assert done.returncode == 3, done.stderr
    report = json.loads(done.stdout)
    assert (report["received"], report["queued"], report["stored"]) == (1_201, 1_200, 1_200)
    assert report["refused"] == {"count": 1, "by_code": {"source_error": 1}}
    assert KEY not in done.stdout + done.stderr
    assert mock.triggers[0]["searches"] == [{"keyword": word, "num_of_posts": 500, "country": "KR"}]
    facts = database.execute(
        "select count(*), count(*) filter (where is_playable), count(*) filter (where is_embeddable is null)"
        " from public.cached_videos where video_id like %s",
        (f"{MARK}%",),
    ).fetchone()
    assert facts == (1_200, 0, 1_200)
    queued = database.execute(
        "select count(*) from private.refresh_queue where video_id like %s", (f"{MARK}%",)
    ).fetchone()
    assert queued == (1_200,)
    signal = database.execute(
        "select data_source, mentions from private.keyword_signals where keyword = %s", (f"{MARK}김치",)
    ).fetchone()
    assert signal == ("bright_data", 1_200)


async def test_a_run_that_was_killed_takes_up_the_snapshot_it_paid_for(
    tmp_path: Path, mock: MockBrightData, environ: dict[str, str], database: psycopg.Connection[Any]
) -> None:
    """Killed without a chance to say so while it waits; the next run asks for the same snapshot."""
    mock.next_snapshot = Snapshot(rows(5), states=["running"])
    word = f"{MARK}{uuid4().hex[:8]}"
    process = await asyncio.create_subprocess_exec(
        *[sys.executable, "-m", "app.cli", "ingest", "brightdata", word], cwd=tmp_path, env=environment(**environ)
    )
    async with asyncio.timeout(60):
        while "progress" not in mock.calls:  # noqa: ASYNC110 -- another process calls
            await asyncio.sleep(0.05)
    process.kill()
    await process.wait()
    mock.snapshots["s_test1"].states = ["ready"]
    done = await run(word, "--json", cwd=tmp_path, **environ)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["snapshot_id"], report["stored"]) == ("s_test1", 5)
    assert len(mock.triggers) == 1
    mock.next_snapshot = Snapshot(rows(5), states=["ready"])
    await run(word, "--json", cwd=tmp_path, **environ)  # what is done is done: a new search is a new snapshot
    assert len(mock.triggers) == 2


async def test_a_file_twice_changes_nothing(
    tmp_path: Path, environ: dict[str, str], database: psycopg.Connection[Any]
) -> None:
    file = tmp_path / "dump.json"
    file.write_text("\n".join(map(json.dumps, rows(3))), encoding="utf-8")
    dry = await run("--file", str(file), "--dry-run", "--json", cwd=tmp_path, **environ)
    assert (json.loads(dry.stdout)["received"], json.loads(dry.stdout)["queued"]) == (3, 0)
    first = await run("--file", str(file), "--json", cwd=tmp_path, **environ)
    again = await run("--file", str(file), "--json", cwd=tmp_path, **environ)
    assert (json.loads(first.stdout)["stored"], json.loads(again.stdout)["known"]) == (3, 3)
    assert database.execute(
        "select count(*) from public.cached_videos where video_id like %s", (f"{MARK}%",)
    ).fetchone() == (3,)


async def test_a_table_for_people(
    tmp_path: Path, mock: MockBrightData, environ: dict[str, str], database: psycopg.Connection[Any]
) -> None:
    mock.snapshots["s_paid"] = Snapshot([*rows(1), *[{}] * 21], states=["ready"])
    done = await run("--snapshot", "s_paid", cwd=tmp_path, **environ)
    assert done.returncode == 3
    assert "Ingested snapshot s_paid" in done.stdout
    assert "21 rows were refused" in done.stderr
    assert "1: bad_video_id" in done.stderr
    assert "and 1 more" in done.stderr


async def test_a_dry_run_asks_for_nothing(tmp_path: Path, mock: MockBrightData, environ: dict[str, str]) -> None:
    done = await run("김치", "배추", "--limit", "20", "--dry-run", cwd=tmp_path, **environ)
    assert "Would search 김치, 배추 in KR, at most 20 videos a keyword." in done.stdout
    told = await run("김치", "배추", "--limit", "20", "--dry-run", "--json", cwd=tmp_path, **environ)
    assert json.loads(told.stdout)["dry_run"]["videos_at_most"] == 40
    assert mock.calls == []


@pytest.mark.parametrize(
    "arguments", [(), ("김치", "--snapshot", "s_1"), ("김치", "--file", "x"), ("x", "--limit", "0")]
)
def test_wrong_usage_ends_with_2(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = ondol("ingest", "brightdata", *arguments, cwd=tmp_path, **NOWHERE)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("김치",), "The setting BRIGHT_DATA_API_KEY is missing."),
        (("김치", "--dry-run"), "The setting BRIGHT_DATA_API_KEY is missing."),
        (("김치", "--region", "XX"), "There is no region XX."),
        (("--file", "none.json", "--dry-run"), "none.json is no snapshot"),
    ],
)
def test_what_is_missing_is_said_with_a_next_step(tmp_path: Path, arguments: tuple[str, ...], sentence: str) -> None:
    done = ondol("ingest", "brightdata", *arguments, cwd=tmp_path, **NOWHERE)
    assert done.returncode == 1
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
