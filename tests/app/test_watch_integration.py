"""Watching trends on a running stack: the command, and the Python of docs/realtime.md as it stands."""

from __future__ import annotations

import asyncio
import json
import re
import textwrap
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from app import InvalidRequestError
from app.shorts import ShortsApi, watch_trends
from scripts.local_stack.settings import REPOSITORY, Stack

from .people import connected
from .test_cli import ondol

PAGE = (REPOSITORY / "docs" / "realtime.md").read_text(encoding="utf-8")


@asynccontextmanager
async def trends(stack: Stack, count: int) -> AsyncIterator[tuple[int, list[str]]]:
    """New trends, and the cursor before them."""
    keywords = [f"watch {uuid4().hex[:8]}" for _ in range(count)]
    async with connected(stack) as client:
        before = (await ShortsApi(client).trends_since()).cursor
    async with await psycopg.AsyncConnection.connect(stack.database_url(), autocommit=True) as database:
        for keyword in keywords:
            await database.execute(
                "insert into public.trending_keywords (keyword, trend_score, growth_rate) values (%s, 0.5, 1)",
                (keyword,),
            )
        yield before, keywords
        await database.execute("delete from public.trending_keywords where keyword = any (%s)", (keywords,))


@pytest.mark.parametrize("key", ["", "secret"], ids=["visitor", "service"])
async def test_the_command_goes_on_after_a_cursor(stack: Stack, tmp_path: Path, key: str) -> None:
    environ = {
        "SUPABASE_URL": stack.api_url,
        "SUPABASE_PUBLISHABLE_KEY": stack.keys.publishable,
        "SUPABASE_SECRET_KEY": stack.keys.secret if key else "",
    }
    async with trends(stack, 2) as (before, keywords):
        arguments = ("trends", "watch", "--cursor", str(before), "--count", "2", "--json")
        done = await asyncio.to_thread(ondol, *arguments, cwd=tmp_path, **environ)
    assert done.returncode == 0, done.stderr
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(each["cursor"], each["keyword"], each["change"]) for each in told] == [
        (before + place, keyword, "inserted") for place, keyword in enumerate(keywords, start=1)
    ]
    assert all(("hourly_trend_data" in each) == bool(key) for each in told)


async def test_of_very_many_at_once_the_last_is_broadcast_and_all_are_followed(stack: Stack) -> None:
    """S-282: the one message leaves a gap, and so the others are fetched."""
    mark = uuid4().hex[:8]
    ready, followed = asyncio.Event(), []

    async def follow() -> None:
        async with connected(stack) as client:
            watched = watch_trends(client, on_subscribed=ready.set, quiet_seconds=300)
            async with aclosing(watched):
                async for trend in watched:
                    followed.append(trend)
                    if trend.keyword == f"many {mark} 1100":
                        return

    following = asyncio.create_task(follow())
    await asyncio.wait_for(ready.wait(), 30)
    async with await psycopg.AsyncConnection.connect(stack.database_url(), autocommit=True) as database:
        await database.execute(
            """
            insert into public.trending_keywords (keyword, trend_score, detected_at, expires_at)
            select 'many ' || %s || ' ' || number, 0.5, now() + number * interval '1 ms', now() + interval '1 hour'
            from generate_series(1, 1100) as number
            """,
            (mark,),
        )
        try:
            await asyncio.wait_for(following, 30)
            heard = await database.execute(
                """
                select payload ->> 'keyword'
                from realtime.messages
                where
                    topic = 'trends'
                    and payload ->> 'keyword' like %s
                """,
                (f"many {mark} %",),
            )
            assert await heard.fetchall() == [(f"many {mark} 1100",)]
        finally:
            following.cancel()
            await database.execute("delete from public.trending_keywords where keyword like %s", (f"many {mark} %",))
    cursors = [trend.cursor for trend in followed]
    assert cursors == list(range(cursors[0] or 0, (cursors[0] or 0) + len(cursors)))
    assert [trend.keyword for trend in followed if mark in trend.keyword] == [
        f"many {mark} {number}" for number in range(1, 1101)
    ]


async def test_the_command_tells_of_what_is_not_kept(stack: Stack, tmp_path: Path) -> None:
    environ = {"SUPABASE_URL": stack.api_url, "SUPABASE_PUBLISHABLE_KEY": stack.keys.publishable}
    beyond = str(10**12)
    async with trends(stack, 1) as (_, [keyword]):
        watching = asyncio.to_thread(
            ondol, "trends", "watch", "--cursor", beyond, "--count", "1", cwd=tmp_path, **environ
        )
        done, _ = await asyncio.gather(watching, rise(stack, keyword))
    assert done.returncode == 0, done.stderr
    assert f"Trends after cursor {beyond} are no longer kept" in done.stderr
    assert keyword in done.stdout


async def rise(stack: Stack, keyword: str) -> None:
    """Let the trend change until somebody who has just begun to watch must have heard of it."""
    async with await psycopg.AsyncConnection.connect(stack.database_url(), autocommit=True) as database:
        for step in range(40):
            await asyncio.sleep(0.25)
            await database.execute(
                "update public.trending_keywords set trend_score = %s where keyword = %s", (step / 100, keyword)
            )


async def test_the_python_of_the_page(stack: Stack) -> None:
    """S-257: the client, as a reader of the page writes it, hears what is committed beside it."""
    [block] = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    program = f"async def page(last_cursor):\n{textwrap.indent(block, '    ')}"
    printed: list[Any] = []
    enough = asyncio.Event()

    def take(*words: Any) -> None:
        printed.append(words)
        if len(printed) == 2:
            enough.set()

    async with connected(stack) as client, trends(stack, 2) as (before, keywords):
        scope: dict[str, Any] = {"client": client, "print": take}
        exec(compile(program, "docs/realtime.md", "exec"), scope)  # noqa: S102
        page = asyncio.create_task(scope["page"](before))
        await asyncio.wait_for(enough.wait(), 10)
        page.cancel()
        with suppress(asyncio.CancelledError):
            await page
    assert printed == [(before + place, "inserted", keyword) for place, keyword in enumerate(keywords, start=1)]


async def test_what_is_no_cursor_or_limit_is_refused(stack: Stack) -> None:
    async with connected(stack) as client:
        for cursor, limit in ((-1, 100), (0, 0), (0, 1001)):
            with pytest.raises(InvalidRequestError) as refused:
                await ShortsApi(client).trends_since(cursor, limit=limit)
            assert refused.value.code == "PT400"
            assert refused.value.hint
