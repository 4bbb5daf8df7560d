"""A small data set of the form of KuaiRand-Pure: two circles of people, each with videos of its own."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path
from random import Random

from app.shorts.feed_eval_data import FeedSplit

PEOPLE, VIDEOS, DAY_MS, FIRST_MS = 60, 40, 86_400_000, 1_650_000_000_000
LOG = ["user_id", "video_id", "time_ms", "is_like", "is_hate", "long_view", "play_time_ms", "duration_ms", "split"]


def write_feed_log(folder: Path) -> Path:
    """Half of the people watch the even videos, half the odd ones; each is shown one of the others now and then."""
    random = Random(7)  # noqa: S311
    items, histories, log = [], [], []
    for video in range(VIDEOS):
        items.append([f"v{video}", f"a{video % 20}", "2022-04-10", "30000", str(1 + video % 2)])
    for person in range(PEOPLE):
        own = [video for video in range(VIDEOS) if video % 2 == person % 2]
        random.shuffle(own)
        other = (own[0] + 1) % VIDEOS
        shown = [*own[:9], other]
        watched = own[:9]
        histories.append(
            [
                f"u{person}",
                str(FIRST_MS + random.randrange(DAY_MS)),
                "10",
                joined(shown),
                joined(own[:1]),
                joined(watched),
            ]
        )
        for place, video in enumerate(own[9:14]):
            part = "val" if place < 2 else "test"
            at = FIRST_MS + DAY_MS * (2 if part == "val" else 4) + random.randrange(DAY_MS)
            log.append([f"u{person}", f"v{video}", str(at), "0", "0", "1", "20000", "30000", part])
    log.append(log[0])  # the log repeats rows
    write(folder / "items.csv.gz", ["video_id", "author_id", "upload_dt", "video_duration_ms", "tag"], items)
    names = ["user_id", "last_time_ms", "history_len", "watch_seq", "like_seq", "long_watch_seq"]
    write(folder / "train_history.csv.gz", names, histories)
    write(folder / "interactions.csv.gz", LOG, log)
    return folder


def joined(videos: list[int]) -> str:
    return " ".join(f"v{video}" for video in videos)


def write(file: Path, header: list[str], rows: list[list[str]]) -> None:
    with gzip.open(file, "wt", encoding="utf-8", newline="") as opened:
        writer = csv.writer(opened)
        writer.writerow(header)
        writer.writerows(rows)


def shown_before(split: FeedSplit) -> list[set[int]]:
    """Beside each judged person: all that the person was shown."""
    return [{meeting.video for meeting in split.learned if meeting.person == person} for person in split.judged]
