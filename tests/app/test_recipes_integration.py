"""docs/recipes.md is run as it stands: its Python blocks as one program, its JavaScript blocks as another."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import textwrap
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest

from app.shorts import ShortsApi
from scripts.local_stack.settings import REPOSITORY, Stack

from .people import PASSWORD, connected, found, stored_videos

RECIPES = (REPOSITORY / "docs" / "recipes.md").read_text(encoding="utf-8")
SECONDS = 60


def blocks(language: str) -> str:
    found_blocks = re.findall(rf"^```{language}\n(.*?)^```", RECIPES, re.DOTALL | re.MULTILINE)
    assert len(found_blocks) == 5
    return "\n".join(found_blocks)


@pytest.fixture
async def given(stack: Stack) -> AsyncIterator[dict[str, Any]]:
    """What the recipes take for granted: a person who has signed up, and a video."""
    async with stored_videos(stack, 1) as videos, connected(stack, as_service=True) as service:
        email = f"{uuid4()}@example.com"
        admin = service.supabase.auth.admin
        made = await admin.create_user({"email": email, "password": PASSWORD, "email_confirm": True})
        yield {"email": email, "password": PASSWORD, "video_id": videos[0], "id": made.user.id}
        await check_what_was_stored(stack, made.user.id)
        await admin.delete_user(made.user.id)


async def check_what_was_stored(stack: Stack, person: str) -> None:
    """Whichever client wrote: a search that is closed, its view and event, and one like."""
    async with connected(stack, as_service=True) as service:
        table = service.supabase.table
        [search] = await found(table("search_sessions").select("*").eq("user_id", person))
        assert (search["session_outcome"], search["results_count"]) == ("satisfied", 12)
        views = await found(
            table("video_interactions").select("*").eq("user_id", person).eq("interaction_type", "view")
        )
        assert [(row["session_id"], row["completion_rate"]) for row in views] == [(search["id"], 0.4)]
        [event] = await found(table("watch_events").select("*").eq("interaction_id", views[0]["id"]))
        assert (event["event_type"], event["seek_to"]) == ("seek", 9)
        said = await found(table("user_feedback").select("feedback_type").eq("user_id", person))
        assert said == [{"feedback_type": "like"}]


async def test_the_python_recipes(stack: Stack, given: dict[str, Any]) -> None:
    """S-256, S-258, S-259, S-260, S-261, S-274: the page's Python."""
    program = f"async def day():\n{textwrap.indent(blocks('python'), '    ')}\n    return history, older, said, heard\n"
    saying = set()
    async with connected(stack) as client:

        def say_soon(feedback_type: Any) -> None:
            api = ShortsApi(client)
            saying.add(asyncio.create_task(api.submit_feedback(given["video_id"], feedback_type=feedback_type)))

        scope: dict[str, Any] = {**given, "client": client, "asyncio": asyncio, "say_soon": say_soon}
        exec(compile(program, "docs/recipes.md", "exec"), scope)  # noqa: S102
        history, older, said, heard = await scope["day"]()
        await asyncio.gather(*saying)
    assert ([view.video_id for view in history], older) == ([given["video_id"]], [])
    assert (said.repeated, heard) == (False, "like")


async def test_the_javascript_recipes(stack: Stack, given: dict[str, Any]) -> None:
    """S-256, S-258, S-259, S-260, S-261, S-274: the page's JavaScript."""
    names = {"url": stack.api_url, "publishableKey": stack.keys.publishable, **given}
    del names["id"]
    # A Node.js without WebSocket of its own, which is up to 21, is given one.
    options = "{ auth: { autoRefreshToken: false }, realtime: { transport: ws } }"
    program = "\n".join(
        (
            'import ws from "ws";',
            *(f"const {name} = {json.dumps(value)};" for name, value in names.items()),
            f"const options = {options};",
            blocks("js"),
            "console.log(JSON.stringify([user.email, history.length, older, said.repeated, row.feedback_type]));",
            "process.exit(0);",
        )
    )
    done = await asyncio.to_thread(
        subprocess.run,
        ["node", "--input-type=module"],
        cwd=REPOSITORY,
        env=dict(os.environ),
        input=program,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [given["email"], 1, [], False, "like"]
