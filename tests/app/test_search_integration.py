"""Search on the running stack, as a visitor, as who is signed in, and as the service."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import textwrap
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from app.errors import InvalidRequestError
from app.shorts import FoundVideos, ShortsApi, VideoInput
from scripts.local_stack.settings import REPOSITORY, Stack

from .people import connected, signed_up

PAGE = (REPOSITORY / "docs" / "search.md").read_text(encoding="utf-8")
SECONDS = 60


def fold(stack: Stack, *, most: int = 100) -> None:
    """What the jobs do every minute."""
    with psycopg.connect(stack.database_url("postgres"), autocommit=True) as connection:
        for _ in range(most):
            connection.execute("select private.fold_video_cards()")
            row = connection.execute("select count(*) from private.card_marks").fetchone()
            if row is not None and row[0] == 0:
                break
        connection.execute("select private.refresh_suggestions()")


def pages_of(stack: Stack, keyword: str) -> int:
    with psycopg.connect(stack.database_url("postgres")) as connection:
        row = connection.execute("select count(*) from private.keyword_pages where keyword = %s", [keyword]).fetchone()
    assert row is not None
    return int(row[0])


@pytest.fixture
async def keyword(stack: Stack) -> AsyncIterator[str]:
    """A keyword with three videos: two that visitors see, and one that is only for who is signed in."""
    letters = "".join(chr(0xAC00 + 588 * (byte % 19) + 28 * (byte % 21)) for byte in uuid4().bytes[:6])
    mark = uuid4().hex[:8]
    videos: list[VideoInput] = [
        {
            "video_id": f"s{mark}_{number}",
            "title": f"오늘의 {letters} 영상 {number}",
            "collected_at": datetime.now(UTC).isoformat(),
            "duration_seconds": 30,
            "is_embeddable": True,
            "privacy_status": "public",
            "view_count": views,
            "keywords": [{"keyword": letters, "relevance": 0.9, "source": "youtube_api"}],
        }
        for number, views in enumerate((5_000_000, 4_000_000, 1_000))
    ]
    async with connected(stack, as_service=True) as service:
        stored = await ShortsApi(service).ingest_videos(videos)
        assert stored.rejected == []
        fold(stack)
        yield letters
        table = service.supabase.table("cached_videos")
        await table.delete().in_("video_id", [video["video_id"] for video in videos]).execute()
    fold(stack)


def ids(found: FoundVideos) -> list[str]:
    return [video.video_id[-1] for video in found.videos]


async def test_everybody_finds_what_they_may_see(stack: Stack, keyword: str) -> None:
    """S-239: a visitor finds what has more than 1,000 views, who is signed in all of it; twice the same."""
    async with connected(stack) as visitor, signed_up(stack) as person:
        for _ in range(2):
            seen = await ShortsApi(visitor).search_videos(keyword)
            assert (seen.how, seen.answered, sorted(ids(seen))) == ("keyword", keyword, ["0", "1"])
            assert sorted(ids(await person.api.search_videos(keyword))) == ["0", "1", "2"]
        [start, length] = seen.videos[0].highlights[0]
        assert seen.videos[0].title[start : start + length] == keyword
    assert pages_of(stack, keyword) == 2


async def test_what_stops_playing_is_gone_at_once(stack: Stack, keyword: str) -> None:
    async with connected(stack) as visitor, connected(stack, as_service=True) as service:
        api = ShortsApi(visitor)
        first = (await api.search_videos(keyword)).videos[0].video_id
        assert pages_of(stack, keyword) == 1
        table = service.supabase.table("cached_videos")
        await table.update({"player_error_code": 150}).eq("video_id", first).execute()
        assert pages_of(stack, keyword) == 0
        left = await api.search_videos(keyword)
        assert [video.video_id for video in left.videos if video.video_id == first] == []
        assert len(left.videos) == 1


async def test_no_page_is_kept_while_a_video_is_taken_out(stack: Stack, keyword: str) -> None:
    """A page made of what somebody is just changing would stay: it is answered, and not kept."""
    async with connected(stack) as visitor:
        api = ShortsApi(visitor)
        with psycopg.connect(stack.database_url("postgres")) as changing:
            changing.execute(
                "update public.cached_videos set player_error_code = 150 where title like %s", [f"%{keyword} 영상 0"]
            )
            assert len((await api.search_videos(keyword)).videos) == 2
            assert pages_of(stack, keyword) == 0
        assert len((await api.search_videos(keyword)).videos) == 1


async def test_many_at_once_are_answered_alike(stack: Stack, keyword: str) -> None:
    async with connected(stack) as visitor:
        api = ShortsApi(visitor)
        answers = await asyncio.gather(*(api.search_videos(keyword) for _ in range(12)))
    assert len({tuple(ids(answer)) for answer in answers}) == 1


async def test_suggestions_for_half_a_word_and_a_typing_error(stack: Stack, keyword: str) -> None:
    async with connected(stack) as visitor:
        api = ShortsApi(visitor)
        suggested = await api.suggest_keywords(keyword[:5])
        assert [(one.keyword, one.videos, one.highlights) for one in suggested] == [(keyword, 2, [(0, 5)])]
        particle = await api.search_videos(f"{keyword}에서는")
        assert (particle.how, particle.answered) == ("corrected", keyword)
        spaced = await api.search_videos(f"{keyword[:2]} {keyword[2:]}")
        assert sorted(ids(spaced)) == ["0", "1"]


async def test_a_get_reads_what_a_post_reads(stack: Stack, keyword: str) -> None:
    """A GET is not counted and keeps nothing."""
    async with connected(stack) as visitor:
        asked = visitor.supabase.rpc("search_videos", {"query": keyword}, get=True)
        answer = await visitor.run("search_videos", asked.execute())
        assert sorted(video["video_id"][-1] for video in answer["videos"]) == ["0", "1"]
    assert pages_of(stack, keyword) == 0


@pytest.mark.parametrize(
    ("question", "hint"),
    [
        ({"query": "  "}, "Send what the person typed"),
        ({"query": "맛" * 5000}, "Send what the person typed"),
        ({"query": "맛집", "limit": -1}, "from 1 to 50"),
        ({"query": "맛집", "region": "Korea"}, "two capital letters"),
        ({"query": "맛집", "cursor": "forged"}, "next_cursor"),
    ],
)
async def test_what_cannot_be_true_is_refused_with_a_hint(stack: Stack, question: dict[str, Any], hint: str) -> None:
    async with connected(stack) as visitor:
        with pytest.raises(InvalidRequestError) as refused:
            await ShortsApi(visitor).search_videos(**question)
    assert refused.value.code == "PT400"
    assert hint in (refused.value.hint or "")


ODD = ("🎉", "'; drop table x; --", "a & !b | c:*", "맛집 mukbang 東京", "\u1106\u1161\u11ba", "%_\\")


@pytest.mark.parametrize("query", ODD)
async def test_odd_questions_are_answered(stack: Stack, query: str) -> None:
    async with connected(stack) as visitor:
        assert (await ShortsApi(visitor).search_videos(query)).total >= 0
        assert await ShortsApi(visitor).suggest_keywords(query) is not None


def recipe(language: str) -> str:
    blocks = re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    assert blocks
    return "\n".join(blocks)


async def test_the_recipes_of_the_page(stack: Stack, keyword: str) -> None:
    """docs/search.md is run as it stands."""
    program = f"async def day():\n{textwrap.indent(recipe('python'), '    ')}\n    return suggested, found\n"
    async with connected(stack) as client:
        scope: dict[str, Any] = {"client": client, "typed": keyword[:5], "query": keyword}
        exec(compile(program, "docs/search.md", "exec"), scope)  # noqa: S102
        suggested, found = await scope["day"]()
    assert [one.keyword for one in suggested] == [keyword]
    assert sorted(ids(found)) == ["0", "1"]
    given = {
        "url": stack.api_url,
        "publishableKey": stack.keys.publishable,
        "typed": keyword[:5],
        "query": keyword,
    }
    names = ", ".join(given)
    script = (
        f'import WebSocket from "ws";\nconst options = {{ realtime: {{ transport: WebSocket }} }};\n'
        f"const {{ {names} }} = JSON.parse(process.argv[1]);\n"
        f"{recipe('js')}\nconsole.log(JSON.stringify({{ suggested, found }}));\nprocess.exit(0);\n"
    )
    done = await asyncio.to_thread(
        subprocess.run,
        ["node", "--input-type=module", "-e", script, json.dumps(given)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert [one["keyword"] for one in answer["suggested"]] == [keyword]
    assert sorted(video["video_id"][-1] for video in answer["found"]["videos"]) == ["0", "1"]
