"""A data set laid into an empty database, and the feed's own SQL run over it: nothing is computed here.

All of it happens inside the caller's transaction, which is meant to be rolled back.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from ..errors import SettingsError
from .feed_eval_data import FeedSplit, Meeting

if TYPE_CHECKING:
    from psycopg import AsyncConnection

__all__ = ["FEEDS", "LoadedFeed", "load_feed", "rank_people"]

Progress = Callable[[str, int, int | None], None]

FIRST_PERSON = UUID("0e7a1000-0000-4000-8000-000000000000").int
PEOPLE_AT_ONCE = 100
ROWS_AT_ONCE = 20_000
FACTORS = (
    "category_match",
    "keyword_relevance",
    "temporal_context",
    "popularity_score",
    "freshness_factor",
    "diversity_bonus",
)
FEEDS = ("ours", *(f"without_{factor}" for factor in FACTORS), "six_weights_alone")

# Whoever has these has people, whose data nobody lays another data set over.
OCCUPIED = """
select exists (select from auth.users)
or exists (select from public.video_interactions)
or exists (select from public.cached_videos)
"""
USERS = "auth.users (id, aud, role, raw_app_meta_data, raw_user_meta_data, created_at, updated_at)"
CHANNELS = "public.cached_channels (channel_id, channel_title)"
VIDEOS = """public.cached_videos (video_id, title, channel_id, channel_name, duration, is_embeddable, privacy_status,
upload_status, live_broadcast, is_age_restricted, category_id, published_at, expires_at)"""
MAPPINGS = "public.keyword_video_mappings (keyword, video_id, relevance_score)"
INTERACTIONS = """public.video_interactions (user_id, video_id, interaction_type, watch_percentage,
interaction_timestamp, created_at)"""
RANK = """
select asked.place, feed.video_id
from unnest(%s::uuid[]) with ordinality as asked (person, place)
cross join lateral private.rank_feed(asked.person, %s, %s, %s::jsonb) with ordinality
    as feed (video_no, video_id, score, factors, why, is_exploration, propensity, shown_at)
order by asked.place, feed.shown_at
"""


class LoadedFeed:
    """A database that holds what a split learns from, with all that the nightly jobs learn of it."""

    def __init__(self, connection: AsyncConnection[Any], split: FeedSplit, now: datetime) -> None:
        self.connection = connection
        self.split = split
        self.now = now
        self.places = {name_of(place): place for place in range(len(split.videos))}


def name_of(video: int) -> str:
    return f"e{video:07d}"


def person_of(person: int) -> UUID:
    return UUID(int=FIRST_PERSON + person)


async def load_feed(
    connection: AsyncConnection[Any], split: FeedSplit, *, on_progress: Progress | None = None
) -> LoadedFeed:
    """Lay `split` into the database as if its last moment were now, and learn from it.

    Raises SettingsError where the database holds people, interactions or videos already.
    """
    show = on_progress or (lambda stage, done, total: None)
    await connection.execute("set local statement_timeout = 0")
    if (await one(connection, OCCUPIED))[0]:
        raise SettingsError("feed_eval_occupied")
    now: datetime = (await one(connection, "select now()"))[0]
    feed = LoadedFeed(connection, split, now)
    await lay(feed, show)
    await learn(feed, show)
    return feed


async def lay(feed: LoadedFeed, show: Progress) -> None:
    split = feed.split
    known = sorted({meeting.person for meeting in split.learned} | set(split.judged))
    tables: tuple[tuple[str, Sequence[Any], Callable[[Any], Iterable[Sequence[object]]]], ...] = (
        (USERS, known, feed_users(feed)),
        (CHANNELS, sorted({video.author for video in split.videos}), feed_channels),
        (VIDEOS, range(len(split.videos)), feed_videos(feed)),
        (MAPPINGS, range(len(split.videos)), feed_mappings(feed)),
        (INTERACTIONS, split.learned, feed_interactions(feed)),
    )
    total = sum(len(items) for _, items, _ in tables)
    done = 0
    for table, items, lines in tables:
        async with feed.connection.cursor() as cursor, cursor.copy(f"copy {table} from stdin") as copy:
            for start in range(0, len(items), ROWS_AT_ONCE):
                part = items[start : start + ROWS_AT_ONCE]
                await copy.write("".join(line_of(row) for item in part for row in lines(item)))
                done += len(part)
                show("feed_eval_lay", done, total)


def feed_users(feed: LoadedFeed) -> Callable[[int], Iterable[Sequence[object]]]:
    joined = feed.now - timedelta(days=60)
    return lambda person: [(person_of(person), "authenticated", "authenticated", "{}", "{}", joined, joined)]


def feed_channels(author: str) -> Iterable[Sequence[object]]:
    return [(f"author{author}", f"author {author}")]


def feed_mappings(feed: LoadedFeed) -> Callable[[int], Iterable[Sequence[object]]]:
    return lambda place: [(f"tag{tag}", name_of(place), 1) for tag in sorted(set(feed.split.videos[place].tags))]


def feed_videos(feed: LoadedFeed) -> Callable[[int], Iterable[Sequence[object]]]:
    expires = feed.now + timedelta(days=7)

    def lines(place: int) -> Iterable[Sequence[object]]:
        video = feed.split.videos[place]
        author = f"author{video.author}"
        published = at(feed, video.published_ms)
        states = ("t", "public", "processed", "none", "f")
        yield (
            *(name_of(place), f"video {video.id}", author, f"author {video.author}", video.seconds),
            *(*states, video.category, published, expires),
        )

    return lines


def feed_interactions(feed: LoadedFeed) -> Callable[[Meeting], Iterable[Sequence[object]]]:
    def lines(meeting: Meeting) -> Iterable[Sequence[object]]:
        when = at(feed, meeting.at_ms)
        who, what = person_of(meeting.person), name_of(meeting.video)
        yield who, what, "skip" if meeting.is_hated else "view", round(meeting.share, 3), when, when
        if meeting.is_liked:
            yield who, what, "like", 0, when, when

    return lines


def at(feed: LoadedFeed, moment_ms: float) -> datetime:
    """The moment as far before now as it was before the split."""
    return feed.now - timedelta(milliseconds=max(feed.split.now_ms - moment_ms, 1))


def line_of(row: Sequence[object]) -> str:
    cells = (
        str(cell).replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r") for cell in row
    )
    return "\t".join(cells) + "\n"


async def learn(feed: LoadedFeed, show: Progress) -> None:
    """Run the nightly work until nothing is left of it."""
    connection = feed.connection
    await connection.execute("select private.rebuild_video_cards()")
    for table in ("public.video_interactions", "private.video_cards", "public.users"):
        await connection.execute(f"analyze {table}")
    await until_nothing(connection, "select private.fold_video_vectors(2000)", (), ("vectors_written",))
    await until_nothing(connection, "select private.fold_video_heats(%s)", (feed.now,), ("people", "videos"))
    people = len({meeting.person for meeting in feed.split.learned})
    await until_nothing(
        connection,
        "select private.learn_neighbours(2000, %s)",
        (feed.now,),
        ("people", "ranked"),
        lambda counts: show("feed_eval_neighbours", counts["people"], people),
    )
    await connection.execute("analyze private.video_neighbours")
    await until_nothing(
        connection,
        "select private.learn_tastes(2000, %s)",
        (feed.now,),
        ("people",),
        lambda counts: show("feed_eval_tastes", counts["people"], people),
    )


async def until_nothing(
    connection: AsyncConnection[Any],
    call: str,
    values: Sequence[object],
    counted: Sequence[str],
    tell: Callable[[Mapping[str, int]], None] = lambda counts: None,
) -> None:
    """Repeat a job while it says that something is left; one that does not say so, until it has twice done nothing."""
    totals = dict.fromkeys(counted, 0)
    idle = 0
    while idle < 2:
        answer: dict[str, Any] = (await one(connection, call, values))[0] or {}
        done = {name: int(answer.get(name) or 0) for name in counted}
        for name, count in done.items():
            totals[name] += count
        tell(totals)
        if answer.get("left") is False:
            return
        idle = 0 if answer.get("left") or any(done.values()) else idle + 1


async def rank_people(
    feed: LoadedFeed, name: str, *, most: int = 10, on_progress: Progress | None = None
) -> list[list[int]]:
    """The feed of each judged person, by one of FEEDS; what is changed for it is changed back."""
    show = on_progress or (lambda stage, done, total: None)
    connection = feed.connection
    options: dict[str, Any] = {"exploration": False}
    lists: list[list[int]] = [[] for _ in feed.split.judged]
    async with connection.transaction(force_rollback=True):
        if name.startswith("without_"):
            weights = (await one(connection, "select weights from private.feed_weights where is_default"))[0]
            options["weights"] = {**weights, name.removeprefix("without_"): 0}
        elif name == "six_weights_alone":
            options["weights_version"] = "seed"
            await connection.execute("delete from private.video_neighbours")
        for start in range(0, len(lists), PEOPLE_AT_ONCE):
            people = [person_of(person) for person in feed.split.judged[start : start + PEOPLE_AT_ONCE]]
            cursor = await connection.execute(RANK, (people, feed.now, most, json.dumps(options)))
            for place, video in await cursor.fetchall():
                lists[start + place - 1].append(feed.places[video])
            show("feed_eval_rank", min(start + PEOPLE_AT_ONCE, len(lists)), len(lists))
    return lists


async def one(connection: AsyncConnection[Any], query: str, values: Sequence[object] = ()) -> tuple[Any, ...]:
    row = await (await connection.execute(query.encode(), values)).fetchone()
    if row is None:  # these queries always answer
        raise LookupError(query)
    return tuple(row)
