"""A small invented data set in the format of the real YouTube charts: `python -m scripts.sample_data FOLDER`.

Nothing in it is real: ids begin with "sample", channels say "(sample)". Ten days for KR, US and JP, every six hours:
everyday topics with a daily rhythm, one burst in KR that is over, and two that are at their height at the end.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import io
import math
import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

DAYS = 10
STEP = timedelta(hours=6)
HOT_FOR = timedelta(hours=48)  # the list of fresh videos; older ones move to the chart
CHART_FOR = timedelta(hours=96)
LONGEST_LIST = 25  # rows of one list in one snapshot, as in the real data

BURSTS = ("두바이쫀득쿠키", "말차소금빵")
PAST_BURST = "얼음탕후루"
BURST_VIDEOS = 12
BURST_TITLE = "{topic} {number}편 #{topic}"

CHART_COLUMNS = ("collected_at", "country", "source", "rank", "video_id", "views", "likes", "comments", "subs")
VIDEO_COLUMNS = (
    *("video_id", "title", "channel", "published_at", "duration_s", "category_id"),
    *("first_seen", "last_seen", "countries", "n_titles"),
)


@dataclass(frozen=True)
class Country:
    """One audience: its clock, its everyday topics, and how it writes a title."""

    code: str
    utc_offset: int  # hours
    videos: int
    channel: str
    topics: tuple[str, ...]
    titles: tuple[str, ...]


COUNTRIES = (
    Country(
        code="KR",
        utc_offset=9,
        videos=56,
        channel="표본 채널",
        topics=("맛집", "먹방", "강아지", "고양이", "브이로그", "챌린지", "레시피", "축구"),
        titles=("오늘의 {topic} 모음 #{topic}", "{topic} 하나만 보고 가세요 #{topic}", "요즘 {topic} 근황 #{topic}"),
    ),
    Country(
        code="US",
        utc_offset=-5,
        videos=32,
        channel="Sample channel",
        topics=("recipe", "puppy", "basketball", "makeup", "travel"),
        titles=("Best {topic} of the day #{topic}", "One minute of {topic} #{topic}"),
    ),
    Country(
        code="JP",
        utc_offset=9,
        videos=32,
        channel="見本チャンネル",
        topics=("料理", "ダンス", "旅行", "ゲーム", "子猫"),
        titles=("今日の {topic} まとめ #{topic}", "{topic} の日常 #{topic}"),
    ),
)


@dataclass
class Video:
    """One invented video and when it was listed."""

    video_id: str
    title: str
    channel: str
    country: Country
    published_at: datetime
    duration_s: int
    views_at_rest: int  # what its views approach as it grows old
    subscribers: int
    bursting: bool
    seen: list[datetime] = field(default_factory=list)

    def views(self, at: datetime) -> int:
        """Running total: fast on the first day, then levelling off; it never falls."""
        hours = (at - self.published_at) / timedelta(hours=1)
        return round(self.views_at_rest * (1 - math.exp(-hours / 18)))


def write_sample(folder: Path, *, end: datetime, seed: int = 1) -> None:
    """Write chart.csv.gz and videos.csv.gz, the last snapshot being at `end`; the same arguments, the same bytes."""
    chance = random.Random(seed)  # noqa: S311 -- believable, not secret
    videos = make_videos(chance, end=end)
    charts = [row for at in snapshots(end) for row in list_videos(chance, videos, at=at)]
    folder.mkdir(parents=True, exist_ok=True)
    write_csv(folder / "chart.csv.gz", CHART_COLUMNS, charts)
    write_csv(folder / "videos.csv.gz", VIDEO_COLUMNS, [describe(video) for video in videos if video.seen])


def snapshots(end: datetime) -> list[datetime]:
    count = DAYS * 24 * 3600 // int(STEP.total_seconds())
    return [end - STEP * back for back in reversed(range(count))]


def make_videos(chance: random.Random, *, end: datetime) -> list[Video]:
    videos: list[Video] = []

    def add(country: Country, topic: str, published_at: datetime, *, bursting: bool = False) -> None:
        number = len(videos) + 1
        videos.append(
            Video(
                video_id=f"sample{number:05d}",  # 11 characters, as every YouTube id
                # A burst has its own titles, so that it is not a burst of everyday words too.
                title=(BURST_TITLE if bursting else chance.choice(country.titles)).format(topic=topic, number=number),
                channel=f"{country.channel} {chance.randrange(1, 20)} (sample)",
                country=country,
                published_at=published_at.replace(microsecond=0),
                duration_s=chance.randrange(12, 170),
                views_at_rest=chance.randrange(800_000, 2_000_000) if bursting else chance.randrange(20_000, 700_000),
                subscribers=chance.randrange(10, 2_000) * 1_000,
                bursting=bursting,
            )
        )

    start = end - timedelta(days=DAYS) - CHART_FOR  # so that the first snapshot has old videos too
    for country in COUNTRIES:
        gap = (end - start) / country.videos
        for index in range(country.videos):
            topic = country.topics[index % len(country.topics)]
            add(country, topic, start + gap * (index + 0.9 * chance.random()))
    korea = COUNTRIES[0]
    for word in BURSTS:
        for index in range(BURST_VIDEOS):
            # Two videos are in the snapshot before the last: news is what is sudden.
            hours = 1 + 0.4 * index if index < BURST_VIDEOS - 2 else 7
            add(korea, word, end - timedelta(hours=hours), bursting=True)
    for index in range(BURST_VIDEOS):
        add(korea, PAST_BURST, end - timedelta(days=6, hours=1.7 * index), bursting=True)
    return videos


def list_videos(chance: random.Random, videos: list[Video], *, at: datetime) -> Iterable[tuple[object, ...]]:
    """The rows of one snapshot: for each country the fresh videos by views, then the older ones."""
    for country in COUNTRIES:
        awake = rhythm((at.hour + country.utc_offset) % 24)
        alive = [
            video
            for video in videos
            if video.country is country
            and timedelta(0) < at - video.published_at < (HOT_FOR if video.bursting else CHART_FOR)
            and (video.bursting or chance.random() < awake)
        ]
        alive.sort(key=lambda video: -video.views(at))
        for source in ("chart", "hot"):
            listed = [video for video in alive if (at - video.published_at < HOT_FOR) == (source == "hot")]
            for rank, video in enumerate(listed[:LONGEST_LIST], start=1):
                video.seen.append(at)
                views = video.views(at)
                totals = (views, views // 25, views // 400, video.subscribers)
                yield (stamp(at), country.code, source, rank, video.video_id, *totals)


def rhythm(local_hour: int) -> float:
    """How awake a country is: 1 at 21 o'clock, 0.4 at 9 in the morning."""
    return 0.7 + 0.3 * math.cos((local_hour - 21) / 24 * 2 * math.pi)


def describe(video: Video) -> tuple[object, ...]:
    known = (video.video_id, video.title, video.channel, stamp(video.published_at), video.duration_s, 24)
    return (*known, stamp(video.seen[0]), stamp(video.seen[-1]), video.country.code, 1)


def stamp(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def write_csv(file: Path, columns: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    # Without a time inside the archive the same rows are the same bytes.
    file.write_bytes(gzip.compress(text.getvalue().encode(), mtime=0))


def parse_end(text: str) -> datetime:
    try:
        end = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time like 2026-09-21T13:00:00Z") from None
    return end.replace(tzinfo=end.tzinfo or UTC).astimezone(UTC)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m scripts.sample_data", description="Write an invented data set.")
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument(
        "--end", type=parse_end, metavar="ISO", help="time of the last snapshot; the current hour if left out"
    )
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    end = given.end or datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    write_sample(given.folder, end=end, seed=given.seed)
    print(f"Invented data up to {stamp(end)} is in {given.folder}.")


if __name__ == "__main__":
    main()
