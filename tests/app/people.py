"""People and videos for tests on the running stack: made for one test, gone after it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from app import Client, Secret, Settings
from app.shorts import ShortsApi
from scripts.local_stack.settings import Stack

PASSWORD = "long-enough-for-a-test"


@dataclass(frozen=True)
class Person:
    """Somebody who has just signed up and is signed in."""

    id: str
    client: Client

    @property
    def api(self) -> ShortsApi:
        return ShortsApi(self.client)

    async def rows(self, table: str, columns: str = "*") -> list[dict[str, Any]]:
        """What this person sees of a table."""
        rows: list[dict[str, Any]] = await found(self.client.supabase.table(table).select(columns))
        return rows


async def found(query: Any) -> Any:
    return (await query.execute()).data


@asynccontextmanager
async def connected(stack: Stack, *, as_service: bool = False) -> AsyncIterator[Client]:
    secret = Secret(stack.keys.secret)
    settings = Settings(url=stack.api_url, publishable_key=Secret(stack.keys.publishable), secret_key=secret)
    async with Client(settings, key=secret if as_service else None) as client:
        yield client


@asynccontextmanager
async def signed_up(stack: Stack) -> AsyncIterator[Person]:
    async with connected(stack) as client, connected(stack, as_service=True) as service:
        answer = await client.supabase.auth.sign_up({"email": f"{uuid4()}@example.com", "password": PASSWORD})
        assert answer.user is not None
        yield Person(answer.user.id, client)
        await service.supabase.auth.admin.delete_user(answer.user.id)


@asynccontextmanager
async def stored_videos(stack: Stack, count: int) -> AsyncIterator[list[str]]:
    """Ids of videos that play; whoever refers to them must be gone before the end."""
    mark = uuid4().hex[:8]
    rows = [
        {
            "video_id": f"t{mark}_{number}",
            "title": f"시험 {number}",
            "duration": 30,
            "is_embeddable": True,
            "privacy_status": "public",
        }
        for number in range(count)
    ]
    async with connected(stack, as_service=True) as service:
        videos = service.supabase.table("cached_videos")
        await videos.insert(rows).execute()
        yield [str(row["video_id"]) for row in rows]
        await videos.delete().like("video_id", f"t{mark}\\_%").execute()
