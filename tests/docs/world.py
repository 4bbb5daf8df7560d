"""What the pages take for granted: a stack, its settings, somebody who is signed in, videos, and other servers."""

from __future__ import annotations

import gzip
import json
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg

from scripts.local_stack.settings import REPOSITORY, Stack
from tests import bright_data_server, youtube_server
from tests.app.people import PASSWORD, Person, connected, signed_up, stored_videos
from tests.app.shorts.datasets import chart_row, write_dataset
from tests.bright_data_server.server import KEY as BRIGHT_DATA_KEY
from tests.youtube_server.server import KEY as YOUTUBE_KEY

SNAPSHOT = "s_m4x7enmven8djfqak"  # of docs/brightdata.md
WORD = "떡볶이"  # what the pages search for
MARK = "문서시험"  # every keyword that the data sets of the pages bring
# The suite is run whole elsewhere; here the command is proven to reach the target that it names.
ONE_OF_THE_SUITE = "python -m pytest tests/conformance -p no:cacheprovider -k everyone_hears_of_the_rows"
SECRET = "whsec_" + "c2VjcmV0IG9mIHRoZSBwYWdlcywgMzIgYnl0ZXMu"


@dataclass(frozen=True)
class World:
    """One page's; `given` are the names that its programs find, `settings` the environment of its commands."""

    stack: Stack
    person: Person
    folder: Path
    given: dict[str, str]
    settings: dict[str, str]
    placeholders: dict[str, str] = field(default_factory=dict)

    def filled_in(self, command: str) -> str:
        """`command` with the page's placeholders replaced by what this world has."""
        for placeholder, value in self.placeholders.items():
            command = command.replace(placeholder, value)
        return command


@asynccontextmanager
async def opened(stack: Stack, folder: Path) -> AsyncIterator[World]:
    """Everything made is gone afterwards."""
    mock = bright_data_server.MockBrightData()
    async with (
        stored_videos(stack, 6) as videos,
        signed_up(stack) as person,
        signed_up(stack) as other,
        youtube_server.YouTubeServer() as youtube,
        bright_data_server.serving(mock),
    ):
        found_by_search(stack, videos)
        youtube.add_video(videos[0])
        at = an_hour_ago()
        told: dict[str, Any] = {"title": f"#{MARK}", "keyword": MARK, "tags": None, "hashtags": None}
        rows = [bright_data_server.scraped_row(video_id="yt-scraped01", date_posted=at, timestamp=None, **told)]
        mock.next_snapshot = bright_data_server.Snapshot(rows, states=["ready"])
        mock.snapshots[SNAPSHOT] = bright_data_server.Snapshot(rows, states=["ready"])
        try:
            yield await described(stack, (person, other), folder, videos[0], (youtube.url, mock.url), rows)
        finally:
            tidy(stack)


async def described(
    stack: Stack, people: tuple[Person, Person], folder: Path, video: str, servers: tuple[str, str], rows: list[Any]
) -> World:
    sessions = [await person.client.supabase.auth.get_session() for person in people]
    email, other = (session.user.email or "" for session in sessions if session)
    token = sessions[0].access_token if sessions[0] else ""
    person = people[0]
    async with connected(stack, as_service=True) as service:
        tier = {"user_id": person.id, "tier": "premium", "source": "purchase"}
        await service.supabase.table("user_tiers").insert(tier).execute()
        endpoint = {"url": f"https://example.com/{uuid4()}", "secret": SECRET, "event_types": ["trend.detected"]}
        endpoint_id = await service.call("register_webhook_endpoint", endpoint)
    at = an_hour_ago()
    listed = ("yt-listed001", f"#{MARK}", "채널", at, 58, "", at, at, "KR", 1)
    data = write_dataset(folder / "folder", chart=[chart_row(at, video=listed[0])], videos=[listed])
    dump = folder / "dump.json.gz"
    dump.write_bytes(gzip.compress(json.dumps(rows).encode()))
    given = {
        "url": stack.api_url,
        "email": email,
        "password": PASSWORD,
        "video_id": video,
        "typed": "떡",
        "query": WORD,
    }
    settings = {
        "SUPABASE_URL": stack.api_url,
        "SUPABASE_PUBLISHABLE_KEY": stack.keys.publishable,
        "SUPABASE_SECRET_KEY": stack.keys.secret,
        "DATABASE_URL": stack.database_url(),
        "ACCESS_TOKEN": token,
        "TOKEN": token,
        "ONDOL_EMAIL": email,
        "ONDOL_PASSWORD": PASSWORD,
        "ONDOL_LANG": "en",
        "YOUTUBE_API_KEY": YOUTUBE_KEY,
        "YOUTUBE_API_URL": servers[0],
        "BRIGHT_DATA_API_KEY": BRIGHT_DATA_KEY,
        "BRIGHT_DATA_API_URL": servers[1],
        "ONDOL_STACK_FILE": str(stack.file),
        "PYTHONPATH": str(REPOSITORY),
        "PATH": f"{REPOSITORY / '.venv' / 'bin'}:{os.environ['PATH']}",
    }
    placeholders = {
        "https://PROJECT.supabase.co": stack.api_url,
        "sb_secret_…": stack.keys.secret,
        "sb_publishable_…": stack.keys.publishable,
        "whsec_…": SECRET,
        '"endpoint_id": "…"': f'"endpoint_id": "{endpoint_id}"',
        " FOLDER": f" {data}",
        " PATH": f" {data}",
        "VIDEO_ID": video,
        "dQw4w9WgXcQ": video,
        "ADDRESS": email,
        "me@example.com": other,
        "dump.json.gz": str(dump),
        "./scripts/test --target http://127.0.0.1:54321 -k realtime": f"{ONE_OF_THE_SUITE} --target {stack.api_url}",
        "--port 8000": f"--port {free_port()}",
        "./scripts/dev ": "python -m tests.docs.dev ",
    }
    return World(stack, person, folder, given, settings, placeholders)


def an_hour_ago() -> str:
    return (datetime.now(UTC) - timedelta(hours=1)).isoformat(timespec="seconds")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
    return port


def found_by_search(stack: Stack, videos: list[str]) -> None:
    """The videos play, many saw them, and the pages' words lead to them; as the jobs would have it in a minute."""
    with psycopg.connect(stack.database_url(), autocommit=True) as connection:
        connection.execute(
            "update public.cached_videos set title = %s || ' 먹방 맛집 매운 ' || video_id, view_count = 5000"
            " where video_id = any(%s)",
            [WORD, videos],
        )
        for _ in range(100):
            connection.execute("select private.fold_video_cards()")
            if connection.execute("select count(*) from private.card_marks").fetchone() == (0,):
                break


def tidy(stack: Stack) -> None:
    """What commands of the pages left: those of YouTube and Bright Data, a day's quota, endpoints."""
    with psycopg.connect(stack.database_url(), autocommit=True) as connection:
        connection.execute("delete from private.refresh_queue")
        connection.execute("delete from private.quota_days")
        connection.execute("delete from private.ingest_runs where source in ('youtube', 'bright_data')")
        connection.execute("delete from private.keyword_signals where keyword like %s", [f"{MARK}%"])
        connection.execute("delete from public.cached_videos where video_id like 'yt-%'")
        connection.execute("delete from public.cached_channels where channel_id like 'UCyt-%'")
        connection.execute("delete from public.webhook_endpoints where url like 'https://example.com/%'")
