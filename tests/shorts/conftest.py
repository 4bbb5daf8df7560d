"""What tests of the shorts room share: people and videos that are gone again afterwards."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from scripts.local_stack.settings import Stack


@dataclass(frozen=True)
class Room:
    """Three videos that a keyword leads to, and somebody on trial and somebody with premium."""

    database_url: str
    keyword: str
    videos: tuple[str, str, str]
    on_trial: str
    premium: str
    collected_at: str

    @contextmanager
    def acting_as(self, person: str) -> Iterator[psycopg.Connection[Any]]:
        """A connection of its own that asks as this person, each statement a transaction."""
        claims = json.dumps({"sub": person, "role": "authenticated"})
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            connection.execute("select set_config('request.jwt.claims', %s, false)", (claims,))
            connection.execute("set role authenticated")
            yield connection

    def ask(self, query: str, *parameters: object) -> Any:
        """The first value of the answer to the operator."""
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            row = connection.execute(query.encode(), parameters).fetchone()
        return row and row[0]


@pytest.fixture
def room(stack: Stack) -> Iterator[Room]:
    mark = uuid4().hex[:8]
    first, second, third = (f"{mark}-{number}" for number in range(3))
    now = datetime.now(UTC).isoformat()
    room = Room(stack.database_url(), f"word {mark}", (first, second, third), str(uuid4()), str(uuid4()), now)
    with psycopg.connect(room.database_url, autocommit=True) as connection:
        for person, tier in ((room.on_trial, "trial"), (room.premium, "premium")):
            connection.execute("insert into auth.users (id, email) values (%s, %s)", (person, f"{person}@example.com"))
            connection.execute(
                "insert into public.user_tiers (user_id, tier, source) values (%s, %s, 'operator')", (person, tier)
            )
        videos = [
            {
                "video_id": video,
                "title": "a video",
                "is_playable": True,
                "collected_at": room.collected_at,
                "keywords": [{"keyword": room.keyword}],
            }
            for video in room.videos
        ]
        connection.execute("select public.ingest_videos(%s)", (json.dumps(videos),))
        yield room
        people, ids = [room.on_trial, room.premium], list(room.videos)
        connection.execute("delete from public.video_interactions where user_id = any(%s::uuid[])", (people,))
        connection.execute("delete from auth.users where id = any(%s::uuid[])", (people,))
        connection.execute("delete from private.pending_counts where video_id = any(%s)", (ids,))
        connection.execute("delete from public.cached_videos where video_id = any(%s)", (ids,))
