"""A frontend's day through the gateway under row level security, with supabase-py; js/ does it with supabase-js."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import uuid4

import pytest

from app import ChangesSource, InvalidRequestError, NotAllowedError, NotFoundError, RequestError, listen
from app.shorts import InteractionInput, WatchedVideo
from scripts.local_stack.settings import Stack

from .people import Person, found, signed_up, stored_videos

WITHIN_SECONDS = 2.0  # S-274
QUIET_SECONDS = 1.0


@pytest.fixture
async def videos(stack: Stack) -> AsyncIterator[list[str]]:
    async with stored_videos(stack, 20) as ids:
        yield ids


@pytest.fixture
async def person(stack: Stack, videos: list[str]) -> AsyncIterator[Person]:
    async with signed_up(stack) as somebody:
        yield somebody


@pytest.fixture
async def stranger(stack: Stack, videos: list[str]) -> AsyncIterator[Person]:
    async with signed_up(stack) as somebody:
        yield somebody


def views(videos: list[str], count: int, **more: Any) -> list[InteractionInput]:
    row: Any = {"interaction_type": "view", "watch_duration": 15, "total_duration": 30, **more}
    rows: Any = [{**row, "video_id": videos[number % len(videos)]} for number in range(count)]
    return cast("list[InteractionInput]", rows)


async def whole_history(person: Person, *, page: int) -> list[WatchedVideo]:
    history: list[WatchedVideo] = []
    while found_now := await person.api.watch_history(history[-1].cursor if history else None, limit=page):
        assert len(found_now) <= page
        history += found_now
    return history


async def test_a_profile_is_there_at_sign_up_and_edited_by_its_owner(person: Person, stranger: Person) -> None:
    """S-156: a person reads and edits the own profile, by update and by upsert, and nobody else's."""
    table = person.client.supabase.table
    [own] = await person.rows("users")
    assert (own["id"], own["user_tier"]) == (person.id, "free")
    [edited] = await found(table("users").update({"name": "김온돌", "settings": {"theme": "dark"}}).eq("id", person.id))
    assert (edited["name"], edited["settings"]) == ("김온돌", {"theme": "dark"})

    wish = {"user_id": person.id, "preferred_categories": ["food", "music"], "preferred_keywords": ["김치"]}
    for _ in range(2):
        [profile] = await found(table("user_profiles").upsert(wish, on_conflict="user_id"))
        assert (profile["preferred_categories"], profile["preferred_keywords"]) == (["food", "music"], ["김치"])
    assert [row["user_id"] for row in await person.rows("user_profiles")] == [person.id]

    foreign = table("user_profiles").update({"preferred_keywords": ["x"]}).eq("user_id", stranger.id)
    assert await found(foreign) == []
    with pytest.raises(NotAllowedError) as refused, person.client.errors("user_profiles"):
        await table("user_profiles").upsert({**wish, "user_id": stranger.id}, on_conflict="user_id").execute()
    assert refused.value.code == "42501"
    assert (await stranger.rows("user_profiles"))[0]["preferred_keywords"] == []


async def test_a_search_with_500_interactions_in_one_call(person: Person, videos: list[str]) -> None:
    """S-258, S-259, S-260: open a search, record 500 interactions of it in one call, close it."""
    started = await person.api.start_search("  김치찌개 레시피", user_context={"device_type": "mobile"})
    [row] = await person.rows(
        "search_sessions", "id,user_id,search_query,response_time_ms,session_ended_at,user_context"
    )
    assert row == {
        "id": str(started.id),
        "user_id": person.id,
        "search_query": "  김치찌개 레시피",
        "response_time_ms": None,
        "session_ended_at": None,
        "user_context": {"device_type": "mobile"},
    }

    kinds = ("view", "view", "view", "like", "skip")
    batch: list[InteractionInput] = [
        {
            "id": str(uuid4()),
            "video_id": videos[number % len(videos)],
            "interaction_type": kinds[number % 5],  # type: ignore[typeddict-item]
            "session_id": str(started.id),
            "watch_duration": 15,
            "total_duration": 30,
            "interaction_timestamp": (datetime.now(UTC) - timedelta(seconds=number)).isoformat(),
        }
        for number in range(500)
    ]
    recorded = await person.api.record_interaction(batch)
    assert (recorded.received, recorded.stored, recorded.repeated, recorded.rejected) == (500, 500, 0, [])
    assert [str(row.id) for row in recorded.interactions] == [row["id"] for row in batch]
    again = await person.api.record_interaction(batch)
    assert (again.stored, again.repeated) == (0, 500)

    stored = await person.rows("video_interactions", "id,session_id,session_started_at,completion_rate,user_id")
    assert len(stored) == 500
    assert {row["session_id"] for row in stored} == {str(started.id)}
    assert {datetime.fromisoformat(row["session_started_at"]) for row in stored} == {started.session_started_at}
    assert {(row["user_id"], row["completion_rate"]) for row in stored} == {(person.id, 0.5)}

    ended = await person.api.end_search(started.id, outcome="satisfied", rating=5, results_count=12, results_clicked=3)
    assert ended.id == started.id
    assert ended.response_time_ms > 0
    [row] = await person.rows(
        "search_sessions", "session_outcome,user_satisfaction_rating,results_count,response_time_ms"
    )
    assert row == {
        "session_outcome": "satisfied",
        "user_satisfaction_rating": 5,
        "results_count": 12,
        "response_time_ms": ended.response_time_ms,
    }


async def test_a_search_as_a_block(person: Person, stranger: Person) -> None:
    """S-258, S-259: the block's search is closed with what it said, another person's cannot be closed."""
    async with person.api.searching("떡볶이", search_intent="discovery") as search:
        search.results_count = 7
        search.response_time_ms = 321
        with pytest.raises(NotFoundError) as refused:
            await stranger.api.end_search(search.id, outcome="abandoned")
        assert (refused.value.code, bool(refused.value.hint)) == ("PT404", True)
    with pytest.raises(LookupError):
        async with person.api.searching("순대"):
            raise LookupError
    rows = await person.rows("search_sessions", "search_query,session_outcome,results_count,response_time_ms")
    by_query = {row["search_query"]: row for row in rows}
    assert by_query["떡볶이"] == {
        "search_query": "떡볶이",
        "session_outcome": None,
        "results_count": 7,
        "response_time_ms": 321,
    }
    assert by_query["순대"]["session_outcome"] == "abandoned"
    assert by_query["순대"]["response_time_ms"] > 0


async def test_the_history_has_no_gap_and_no_double(person: Person, stranger: Person, videos: list[str]) -> None:
    """S-260: pages by cursor over equal times, while more is watched; the same with every size of page."""
    wanted: set[str] = set()
    for count in (40, 1, 25):  # one call is one transaction: 40 views of the very same created_at
        recorded = await person.api.record_interaction(views(videos, count))
        wanted |= {str(row.id) for row in recorded.interactions}
    await person.api.record_interaction([{"video_id": videos[0], "interaction_type": "like"}])
    await stranger.api.record_interaction(views(videos, 5))

    for page in (1, 7, 40, 66, 1000):
        history = await whole_history(person, page=page)
        keys = [(view.created_at, str(view.id)) for view in history]
        assert len(keys) == 66
        assert keys == sorted(keys, reverse=True)
        assert {str(view.id) for view in history} == wanted
    assert len({view.created_at for view in history}) == 3
    assert {view.completion_rate for view in history} == {0.5}

    first = await person.api.watch_history(limit=10)
    await person.api.record_interaction(views(videos, 3))
    second = await person.api.watch_history(first[-1].cursor, limit=10)
    assert [view.id for view in first + second] == [view.id for view in history[:20]]


async def test_s_261_events_of_the_player(person: Person, stranger: Person, videos: list[str]) -> None:
    """S-261: events go to own interactions; only a seek has places, by RPC and in the table itself."""
    [interaction] = (await person.api.record_interaction(views(videos, 1))).interactions
    one = {"interaction_id": str(interaction.id)}
    recorded = await person.api.record_watch_event(
        [
            {**one, "event_type": "play", "video_timestamp": 0},  # type: ignore[typeddict-item]
            {**one, "event_type": "seek", "seek_from": 3, "seek_to": 9},  # type: ignore[typeddict-item]
            {**one, "event_type": "play", "seek_to": 9},  # type: ignore[typeddict-item]
        ]
    )
    assert (recorded.received, recorded.stored) == (3, 2)
    [bad] = recorded.rejected
    assert (bad.index, bad.code, bool(bad.hint)) == (2, "ON017", True)
    assert sorted(row["event_type"] for row in await person.rows("watch_events")) == ["play", "seek"]

    [stored] = await person.rows("video_interactions", "id,created_at")
    row = {"interaction_id": stored["id"], "interaction_created_at": stored["created_at"], "event_type": "play"}
    with pytest.raises(InvalidRequestError) as impossible, person.client.errors("watch_events"):
        await person.client.supabase.table("watch_events").insert({**row, "seek_to": 9}).execute()
    assert impossible.value.code == "23514"
    with pytest.raises(InvalidRequestError) as foreign:
        await stranger.api.record_watch_event([{**one, "event_type": "play"}])  # type: ignore[typeddict-item]
    assert (foreign.value.code, "interaction of yours" in foreign.value.message) == ("PT400", True)
    with pytest.raises(NotAllowedError) as refused, stranger.client.errors("watch_events"):
        await stranger.client.supabase.table("watch_events").insert(row).execute()
    assert refused.value.code == "42501"


async def test_s_256_like_then_dislike_then_take_back(person: Person, videos: list[str]) -> None:
    """S-256: like then dislike are two rows, each said once however often; the person takes either back."""
    liked = await person.api.submit_feedback(videos[0], feedback_type="like", source_keyword="김치", position_in_list=0)
    disliked = await person.api.submit_feedback(videos[0], feedback_type="dislike", reason="quality", comment="흐려요")
    again = await person.api.submit_feedback(videos[0], feedback_type="like")
    assert (liked.repeated, disliked.repeated, again.repeated) == (False, False, True)
    assert liked.id == again.id != disliked.id
    rows = await person.rows("user_feedback", "feedback_type,reason,comment")
    assert sorted(rows, key=lambda row: row["feedback_type"]) == [
        {"feedback_type": "dislike", "reason": "quality", "comment": "흐려요"},
        {"feedback_type": "like", "reason": None, "comment": None},
    ]
    taken = (
        person.client.supabase.table("user_feedback").delete().eq("video_id", videos[0]).eq("feedback_type", "dislike")
    )
    assert [row["feedback_type"] for row in await found(taken)] == ["dislike"]
    assert [row["feedback_type"] for row in await person.rows("user_feedback")] == ["like"]


async def test_the_player_and_the_cache(person: Person, videos: list[str]) -> None:
    """A video is served from the cache to who is signed in, and an error of its player is told once a day."""
    video = await person.api.touch_cached_video(videos[0])
    assert video is not None
    assert (video.video_id, video.is_playable, video.duration) == (videos[0], True, 30)
    assert await person.api.touch_cached_video("t_unknown") is None
    first = await person.api.report_playback_error(videos[0], error_code=150, region="KR")
    second = await person.api.report_playback_error(videos[0], error_code=150, region="KR")
    assert (first.repeated, second.repeated) == (False, True)


OWN = {
    "search_sessions_partitioned": "S-156",
    "video_interactions": "S-157",
    "video_interactions_partitioned": "S-157",
    "user_feedback": "S-158",
    "user_session_details": "S-159",
    "watch_events": "S-160",
    "users": "S-156",
    "user_profiles": "S-156",
    "user_search_patterns": "S-156",
}


async def test_nothing_of_one_person_is_seen_by_another(person: Person, stranger: Person, videos: list[str]) -> None:
    """S-156, S-157, S-158, S-159, S-160: one sees the own rows (above 0), the other none of them (0) in each table."""
    started = await person.api.start_search("김치")
    recorded = await person.api.record_interaction(views(videos, 3, session_id=str(started.id)))
    await person.api.record_watch_event([{"interaction_id": str(recorded.interactions[0].id), "event_type": "play"}])
    await person.api.submit_feedback(videos[0], feedback_type="like")
    visit = {"session_id": str(started.session_id), "device_type": "mobile", "connection_type": "wifi"}
    await person.client.supabase.table("user_session_details").insert(visit).execute()

    for table, ledger in OWN.items():
        own = await person.rows(table)
        assert own, f"{ledger}: {table} shows nothing to its owner"
        theirs = await stranger.rows(table)
        assert not {key(row) for row in own} & {key(row) for row in theirs}, f"{ledger}: {table} shows what is foreign"
        if table not in ("users", "user_profiles", "user_search_patterns"):  # these everybody has one of
            assert theirs == [], f"{ledger}: {table}"


def key(row: dict[str, Any]) -> Any:
    return row["id"]


@pytest.mark.parametrize(
    ("table", "row"),
    [
        ("search_sessions", {"search_query": "김치"}),
        ("video_interactions", {"interaction_type": "view"}),
        ("user_feedback", {"feedback_type": "like"}),
        ("user_session_details", {"session_id": "5a3b1e00-0000-4000-8000-000000000009"}),
    ],
)
async def test_nobody_writes_for_another(
    person: Person, stranger: Person, videos: list[str], table: str, row: dict[str, Any]
) -> None:
    """S-156, S-157, S-158, S-159: an insert with another person's user_id is 42501, and with the own one passes."""
    if table in ("video_interactions", "user_feedback"):
        row = {**row, "video_id": videos[0]}
    rows = person.client.supabase.table(table)
    with pytest.raises(RequestError) as refused, person.client.errors(table):
        await rows.insert({**row, "user_id": stranger.id}, returning="minimal").execute()  # type: ignore[arg-type]
    assert (refused.value.code, refused.value.status) == ("42501", 403)
    await rows.insert({**row, "user_id": person.id}, returning="minimal").execute()  # type: ignore[arg-type]
    assert await stranger.rows(table, "id") == []


class Listener:
    """What a person hears of the feedback table."""

    def __init__(self, person: Person) -> None:
        self.heard: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.subscribed = asyncio.Event()
        self._task = asyncio.create_task(self._run(person))

    async def _run(self, person: Person) -> None:
        source = ChangesSource(table="user_feedback")
        async for row in listen(source, client=person.client, on_subscribed=self.subscribed.set, max_attempts=1):
            self.heard.put_nowait(row)

    async def close(self) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task


async def test_s_274_own_rows_are_heard_and_no_other(person: Person, stranger: Person, videos: list[str]) -> None:
    """S-274: own feedback arrives within 2 s; another person's never, though that person's own listener hears it."""
    listeners = {somebody.id: Listener(somebody) for somebody in (person, stranger)}
    try:
        async with asyncio.timeout(20):
            for listener in listeners.values():
                await listener.subscribed.wait()
        for speaker, other in ((person, stranger), (stranger, person)):
            await speaker.api.submit_feedback(videos[1], feedback_type="like", comment=speaker.id)
            async with asyncio.timeout(WITHIN_SECONDS):
                row = await listeners[speaker.id].heard.get()
            assert (row["user_id"], row["video_id"], row["comment"]) == (speaker.id, videos[1], speaker.id)
            await asyncio.sleep(QUIET_SECONDS)
            assert listeners[other.id].heard.empty()
            assert listeners[speaker.id].heard.empty()
    finally:
        for listener in listeners.values():
            await listener.close()
