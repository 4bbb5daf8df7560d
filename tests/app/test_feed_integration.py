"""A feed through the gateway: one's own, live, with reasons, and nobody else's."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import psycopg
import pytest

from app import InvalidRequestError, NotAllowedError
from app.errors import RequestError
from app.shorts import ShortsApi
from scripts.local_stack.settings import REPOSITORY, Stack

from .people import PASSWORD, connected, signed_up, stored_videos

pytestmark = pytest.mark.usefixtures("without_purge")

PAGE = (REPOSITORY / "docs" / "feed.md").read_text(encoding="utf-8")


def fold(stack: Stack) -> None:
    """What the job does every minute."""
    with psycopg.connect(stack.database_url("postgres"), autocommit=True) as connection:
        for _ in range(100):
            connection.execute("select private.fold_video_cards()")
            row = connection.execute("select count(*) from private.card_marks").fetchone()
            if row is not None and row[0] == 0:
                break


def recipe(language: str) -> str:
    blocks = re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    assert blocks
    return "\n".join(blocks)


async def test_the_recipes_of_the_page(stack: Stack) -> None:
    """S-253: docs/feed.md is run as it stands, by who is signed in."""
    async with stored_videos(stack, 30), signed_up(stack) as person:
        fold(stack)
        session = await person.client.supabase.auth.get_session()
        assert session is not None
        program = f"async def day():\n{textwrap.indent(recipe('python'), '    ')}\n    return answer, feed\n"
        scope: dict[str, Any] = {"client": person.client, "supabase": person.client.supabase, "ShortsApi": ShortsApi}
        exec(compile(program, "docs/feed.md", "exec"), scope)  # noqa: S102
        answer, feed = await scope["day"]()
        assert [video.video_id for video in feed.videos] == [video["video_id"] for video in answer.data["videos"]]
        assert len(feed.videos) == 20
        given = {"url": stack.api_url, "key": stack.keys.publishable, "token": session.access_token}
        script = (
            'import WebSocket from "ws";\nimport { createClient } from "@supabase/supabase-js";\n'
            "const { url, key, token } = JSON.parse(process.argv[1]);\n"
            "const supabase = createClient(url, key, { realtime: { transport: WebSocket },"
            " accessToken: async () => token });\n"
            f"{recipe('js')}\nconsole.log(JSON.stringify({{ first: data, next: next.data }}));\nprocess.exit(0);\n"
        )
        done = await asyncio.to_thread(
            subprocess.run,
            ["node", "--input-type=module", "-e", script, json.dumps(given)],
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        pages = json.loads(done.stdout)
        assert [video["video_id"] for video in pages["first"]["videos"]] == [video.video_id for video in feed.videos]
        assert len(pages["next"]["videos"]) >= 10


async def test_s_253_a_feed_is_ones_own_live_and_explained(stack: Stack, tmp_path: Path) -> None:
    """S-253, S-026, S-230."""
    async with stored_videos(stack, 8), signed_up(stack) as person, signed_up(stack) as other:
        fold(stack)
        feed = await person.api.personalized_feed(50)
        assert len(feed.videos) >= 8
        assert all(video.why for video in feed.videos)

        first = await person.api.personalized_feed(3)
        assert [video.video_id for video in (await person.api.personalized_feed(3)).videos] == [
            video.video_id for video in first.videos
        ]
        second = await person.api.personalized_feed(3, cursor=first.next_cursor)
        shown = {video.video_id for page in (first, second) for video in page.videos}
        assert len(shown) == 6

        liked = first.videos[0].video_id
        await person.api.record_interaction([{"video_id": liked, "interaction_type": "like"}])
        after = await person.api.personalized_feed(50)
        assert liked not in {video.video_id for video in after.videos}

        for limit, cursor in ((-1, None), (0, None), (10**9, None), (3, "'; drop table users; --"), (3, "x" * 10_000)):
            with pytest.raises(InvalidRequestError) as refused:
                await person.api.personalized_feed(limit, cursor=cursor)
            assert (refused.value.code, bool(refused.value.hint)) == ("PT400", True)
        with pytest.raises(InvalidRequestError) as foreign:
            await other.api.personalized_feed(3, cursor=first.next_cursor)
        assert foreign.value.code == "PT400"

        weights = {
            "category_match": 0.9,
            "keyword_relevance": 0.25,
            "temporal_context": 0.15,
            "popularity_score": 0.15,
            "freshness_factor": 0.1,
            "diversity_bonus": 0.05,
        }
        profiles = person.client.supabase.table("user_profiles")
        change = profiles.update({"personalization_weights": weights}).eq("user_id", person.id)
        with pytest.raises(RequestError) as unbalanced:
            await person.client.run("update", change.execute())
        assert unbalanced.value.code == "23514"

        async with connected(stack) as client:
            with pytest.raises(NotAllowedError):
                await ShortsApi(client).personalized_feed()

        user = await person.client.supabase.auth.get_user()
        assert user is not None
        assert user.user.email is not None
        done = await asyncio.to_thread(shown_by_command, stack, user.user.email, tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
        assert "시험" in done.stdout

        async with connected(stack, as_service=True) as service:
            await service.supabase.table("video_interactions").delete().eq("user_id", person.id).execute()


def shown_by_command(stack: Stack, email: str, folder: Path) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("SUPABASE_", "ONDOL_"))}
    return subprocess.run(
        [sys.executable, "-m", "app.cli", "feed", "--why", "--email", email, "--limit", "5"],
        capture_output=True,
        text=True,
        cwd=folder,
        check=False,
        timeout=60,
        env={
            **inherited,
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "LANG": "C.UTF-8",
            "PYTHONIOENCODING": "utf-8",
            "SUPABASE_URL": stack.api_url,
            "SUPABASE_PUBLISHABLE_KEY": stack.keys.publishable,
            "ONDOL_PASSWORD": PASSWORD,
        },
    )
