"""Who watched what, from a data set of the form of KuaiRand-Pure: what is learned from, and what is judged by.

Pure: nothing here knows a database or a network.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path
from typing import Any, Literal, NamedTuple

from ..errors import DatasetError
from .tables import read_table

__all__ = ["FeedLog", "FeedSplit", "Meeting", "read_feed_log", "split_log"]

Part = Literal["val", "test"]

VIDEOS, HISTORIES, LOG = "items.csv", "train_history.csv", "interactions.csv"
KNOWN = "items.csv[.gz] + train_history.csv[.gz] + interactions.csv[.gz]; docs/feed-quality.md lists their columns"
DAY_MS = 86_400_000
MOST_SECONDS = 180  # what a Short lasts at most


@dataclass(frozen=True)
class Video:
    """One video; numbers stand in for names where the data set gives no names."""

    id: str
    author: str
    category: int
    tags: tuple[str, ...]
    seconds: int
    published_ms: int


class Meeting(NamedTuple):
    """One person was shown one video: indexes, Unix milliseconds, and what came of it."""

    person: int
    video: int
    at_ms: float
    is_watched: bool
    is_liked: bool = False
    is_hated: bool = False
    share: float = 0.0  # of the video that was watched


@dataclass
class FeedLog:
    """All that is known, and in which part it stands: history (before all), val, test."""

    videos: list[Video] = field(default_factory=list)
    people: dict[str, int] = field(default_factory=dict)
    history: list[Meeting] = field(default_factory=list)
    val: list[Meeting] = field(default_factory=list)
    test: list[Meeting] = field(default_factory=list)


@dataclass(frozen=True)
class FeedSplit:
    """What is learned from, in time, and for each judged person what should be found."""

    now_ms: float
    videos: list[Video]
    people: list[str]
    learned: list[Meeting]
    judged: list[int]
    """Indexes of the people to rank for, each with at least one video to find."""
    wanted: list[set[int]]
    """Beside each of `judged`: what the person watched later, and had not been shown before."""


def read_feed_log(folder: Path) -> FeedLog:
    """The whole data set; raises DatasetError where a file, a column or a value is not what it should be."""
    files = [file_of(folder, name) for name in (VIDEOS, HISTORIES, LOG)]
    log = FeedLog()
    places = {}
    for video in rows(files[0], ("video_id", "author_id", "upload_dt", "video_duration_ms", "tag"), to_video):
        places[video.id] = len(log.videos)
        log.videos.append(video)
    log.history.extend(read_histories(files[1], log.people, places))
    seen: set[tuple[str, ...]] = set()
    columns = ("user_id", "video_id", "time_ms", "is_like", "is_hate", "long_view", "play_time_ms", "duration_ms")
    for fields in rows(files[2], (*columns, "split"), list):
        key = tuple(fields)
        if key in seen:  # the log repeats rows
            continue
        seen.add(key)
        part = fields.pop()
        (log.test if part == "test" else log.val).append(to_meeting(fields, files[2], log.people, places))
    for meetings in (log.val, log.test):
        meetings.sort(key=lambda meeting: meeting.at_ms)
    return log


def file_of(folder: Path, name: str) -> Path:
    for file in (folder / f"{name}.gz", folder / name):
        if file.is_file():
            return file
    if not folder.exists():
        raise DatasetError("dataset_absent", path=folder)
    raise DatasetError("dataset_unknown", path=folder, known=KNOWN)


def rows(file: Path, columns: Sequence[str], parse: Any) -> Iterator[Any]:
    def parsed(fields: list[str], *, file: str, line: int) -> Any:
        try:
            return parse(fields)
        except ValueError as error:
            raise DatasetError("dataset_unreadable", file=file, line=line - 1, problem=error) from error

    for row in read_table(file, columns=columns, parse=parsed):
        if hasattr(row, "code"):
            raise DatasetError("dataset_unreadable", file=file, line=row.line - 1, problem=row.detail)
        yield row


def to_video(fields: list[str]) -> Video:
    name, author, published, duration, tag = fields
    tags = tuple(part for part in tag.split(",") if part.isdigit())
    seconds = round(float(duration) / 1000) if duration else MOST_SECONDS
    day = datetime.fromisoformat(published).replace(tzinfo=UTC) if published else datetime.fromtimestamp(0, UTC)
    return Video(
        id=name,
        author=author,
        category=int(tags[0]) if tags else 0,
        tags=tags,
        seconds=min(max(seconds, 1), MOST_SECONDS),
        published_ms=int(day.timestamp() * 1000),
    )


def read_histories(file: Path, people: dict[str, int], places: dict[str, int]) -> Iterator[Meeting]:
    """The meetings of each history. It gives no times: they are spread evenly from the first day to its last moment."""
    columns = ("user_id", "last_time_ms", "history_len", "watch_seq", "like_seq", "long_watch_seq")
    histories = [
        (person, float(last), int(length), shown.split(), liked.split(), watched.split())
        for person, last, length, shown, liked, watched in rows(file, columns, list_of_history)
    ]
    first = min((last for _, last, *_ in histories), default=0.0)
    for name, last, length, shown, liked, watched in histories:
        person = people.setdefault(name, len(people))
        # The lists are cut to the newest; what was watched but is no longer in the list of what was shown is older.
        older = [video for video in watched if video not in set(shown)]
        whole = max(length, len(shown) + len(older), 1)
        step = (last - first) / whole
        for place, video in enumerate(older):
            at = first + step * (whole - len(shown)) * (place + 1) / (len(older) + 1)
            yield Meeting(
                person, place_of(places, video, file), at, is_watched=True, is_liked=video in liked, share=0.8
            )
        for place, video in enumerate(shown):
            at = last - step * (len(shown) - 1 - place)
            is_watched = video in watched
            yield Meeting(
                person,
                place_of(places, video, file),
                at,
                is_watched=is_watched,
                is_liked=video in liked,
                share=0.8 if is_watched else 0.1,
            )


def list_of_history(fields: list[str]) -> list[str]:
    float(fields[1])
    int(fields[2])
    return fields


def to_meeting(fields: list[str], file: Path, people: dict[str, int], places: dict[str, int]) -> Meeting:
    name, video, at, liked, hated, watched, played, lasts = fields
    try:
        share = float(played or 0) / float(lasts) if float(lasts or 0) > 0 else 0.0
        moment = float(at)
    except ValueError as error:
        raise DatasetError("dataset_unreadable", file=file, line=0, problem=error) from error
    is_watched = watched == "1"
    return Meeting(
        people.setdefault(name, len(people)),
        place_of(places, video, file),
        moment,
        is_watched=is_watched,
        is_liked=liked == "1",
        is_hated=hated == "1",
        # What the data set calls a long view is what the room calls liked: at least half of it.
        share=min(max(share, 0.5), 1.0) if is_watched else min(share, 0.45),
    )


def place_of(places: dict[str, int], video: str, file: Path) -> int:
    try:
        return places[video]
    except KeyError as error:
        raise DatasetError("feed_eval_video_unknown", file=file, video=video[:40]) from error


def split_log(
    log: FeedLog, *, judge: Part = "test", most: int | None = None, learn_from: int | None = None
) -> FeedSplit:
    """Learn from all before `judge`, judge by it. `most` people are judged and `learn_from` known, chosen by their id.

    Raises DatasetError when nobody can be judged.
    """
    learned = log.history if judge == "val" else log.history + log.val
    later = log.val if judge == "val" else log.test
    seen: dict[int, set[int]] = {}
    for meeting in learned:
        seen.setdefault(meeting.person, set()).add(meeting.video)
    wanted: dict[int, set[int]] = {}
    for meeting in later:
        if meeting.is_watched and meeting.video not in seen.get(meeting.person, ()):
            wanted.setdefault(meeting.person, set()).add(meeting.video)
    if not wanted or not learned:
        raise DatasetError("feed_eval_nobody", part=judge)
    names = list(log.people)
    judged = sorted(wanted, key=lambda person: drawn(names[person]))[:most]
    if learn_from is not None:
        others = sorted(set(log.people.values()) - set(judged), key=lambda person: drawn(names[person]))
        known = {*judged, *others[: max(learn_from - len(judged), 0)]}
        learned = [meeting for meeting in learned if meeting.person in known]
    return FeedSplit(
        now_ms=later[0].at_ms,
        videos=log.videos,
        people=names,
        learned=sorted(learned, key=lambda meeting: meeting.at_ms),
        judged=judged,
        wanted=[wanted[person] for person in judged],
    )


def drawn(name: str) -> bytes:
    """A place in an order that has nothing to do with the person and is the same each time."""
    return blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest()
