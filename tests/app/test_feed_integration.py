"""A feed through the gateway: one's own, live, with reasons, and nobody else's."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from app import InvalidRequestError, NotAllowedError
from app.errors import RequestError
from app.shorts import Feed, ShortsApi
from scripts.local_stack.settings import Stack

from .people import PASSWORD, Person, connected, signed_up, stored_videos

pytestmark = pytest.mark.usefixtures("without_purge")


async def filled(person: Person, *, videos: int) -> Feed:
    """The first page once the cards of the videos are folded; the job runs each minute."""
    deadline = time.monotonic() + 100
    while True:
        feed = await person.api.personalized_feed(50)
        if len(feed.videos) >= videos or time.monotonic() > deadline:
            return feed
        # A ranking holds until something changes.
        await (
            person.client.supabase.table("user_profiles")
            .update({"context_preferences": {"n": time.time()}})
            .eq("user_id", person.id)
            .execute()
        )
        await asyncio.sleep(3)


async def test_s_253_a_feed_is_ones_own_live_and_explained(stack: Stack, tmp_path: Path) -> None:
    """S-253, S-026, S-230."""
    async with stored_videos(stack, 8), signed_up(stack) as person, signed_up(stack) as other:
        feed = await filled(person, videos=8)
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
