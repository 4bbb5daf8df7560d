"""Which keywords surge tomorrow: what is asked of each day, and who answers it how well. Pure.

A keyword surges on a day when that day has at least twice the mean of the seven observed days before it, at least
three mentions, and more than the day before. Mentions of a day are the distinct videos listed on it, in Korean time.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta, timezone
from statistics import fmean
from typing import NamedTuple

from .dataset import ChartRow

__all__ = ["Candidate", "Day", "Question", "Ranked", "days_of", "judge_ranking", "questions_of", "shuffled_days"]

KOREA = timezone(timedelta(hours=9))
PAST_DAYS = 7
LEAST_MENTIONS = 3
RISE = 2
WARNED_WITHIN_DAYS = 3  # before a surge: an older warning is none of it
PEAK_WITHIN_DAYS = 7


@dataclass(frozen=True)
class Day:
    """Distinct videos per keyword listed on `day`, and how many of those had not been listed before."""

    day: date
    mentions: Mapping[str, int]
    fresh: Mapping[str, int]


class Candidate(NamedTuple):
    """What is known of a keyword at the end of a day; `usual` is the mean of the last seven days, with this one."""

    keyword: str
    today: int
    usual: float
    fresh: int
    surges_today: bool
    rise_today: float  # today's mentions against the usual ones before today


@dataclass(frozen=True)
class Question:
    """What was known at the end of the day at `place`, and which keywords surged on the next."""

    place: int
    candidates: Sequence[Candidate]
    surges: frozenset[str]


@dataclass(frozen=True)
class Ranked:
    """How well a ranking named tomorrow's surges among its first places.

    `lead_hours` is the mean over all surges, 0 for those never named: from the first of the last three days that named
    one, to the day of its peak within a week. `warned` surges have a lead.
    """

    precision: float
    recall: float
    lead_hours: float
    surges: int
    warned: int
    lead_hours_of_warned: float


def days_of(listings: Iterable[ChartRow], *, keywords: Mapping[str, Collection[str]], region: str) -> list[Day]:
    """The observed days of `region` in order; `keywords` are those of each video."""
    videos: dict[date, set[str]] = {}
    for row in listings:
        if row.region == region and row.video_id in keywords:
            videos.setdefault(row.collected_at.astimezone(KOREA).date(), set()).add(row.video_id)
    days: list[Day] = []
    seen: set[str] = set()
    for day, listed in sorted(videos.items()):
        days.append(Day(day, tally(listed, keywords), tally(listed - seen, keywords)))
        seen |= listed
    return days


def tally(videos: Iterable[str], keywords: Mapping[str, Collection[str]]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for video in videos:
        for keyword in keywords[video]:
            counts[keyword] = counts.get(keyword, 0) + 1
    return counts


def is_surge(mentions: int, *, usual: float, before: int) -> bool:
    return mentions >= LEAST_MENTIONS and mentions >= RISE * usual and mentions > before


def questions_of(days: Sequence[Day]) -> list[Question]:
    """One per day that has a day before it and whose next day was observed; nothing in it looks ahead but `surges`."""
    questions = []
    for place in range(1, len(days) - 1):
        if days[place + 1].day - days[place].day != timedelta(days=1):
            continue
        today, yesterday, tomorrow = days[place].mentions, days[place - 1].mentions, days[place + 1].mentions
        past = totals(days[max(0, place + 1 - PAST_DAYS) : place + 1])
        before = totals(days[max(0, place - PAST_DAYS) : place])
        past_days, days_before = min(place + 1, PAST_DAYS), min(place, PAST_DAYS)
        candidates = []
        for keyword, total in sorted(past.items()):
            mentions, usual_before = today.get(keyword, 0), before.get(keyword, 0) / days_before
            candidates.append(
                Candidate(
                    keyword,
                    mentions,
                    total / past_days,
                    days[place].fresh.get(keyword, 0),
                    is_surge(mentions, usual=usual_before, before=yesterday.get(keyword, 0)),
                    mentions / (usual_before + 0.5),
                )
            )
        surges = frozenset(
            keyword
            for keyword, mentions in tomorrow.items()
            if is_surge(mentions, usual=past.get(keyword, 0) / past_days, before=today.get(keyword, 0))
        )
        questions.append(Question(place, candidates, surges))
    return questions


def totals(days: Iterable[Day]) -> dict[str, int]:
    sums: dict[str, int] = {}
    for day in days:
        for keyword, mentions in day.mentions.items():
            sums[keyword] = sums.get(keyword, 0) + mentions
    return sums


def most_mentioned(candidates: Sequence[Candidate], most: int) -> list[str]:
    """Raw counts: what has most mentions today."""
    return [each.keyword for each in sorted(candidates, key=lambda each: (-each.today, each.keyword))[:most]]


def surging_today(candidates: Sequence[Candidate], most: int) -> list[str]:
    """Persistence: what surges today surges tomorrow; the strongest rise first."""
    surging = [each for each in candidates if each.surges_today]
    return [each.keyword for each in sorted(surging, key=lambda each: (-each.rise_today, each.keyword))[:most]]


def best_scored(candidates: Sequence[Candidate], scores: Sequence[float], most: int) -> list[str]:
    """The highest scores."""
    pairs = sorted(zip(scores, candidates, strict=True), key=lambda pair: (-pair[0], pair[1].keyword))
    return [each.keyword for _, each in pairs[:most]]


def judge_ranking(
    days: Sequence[Day], questions: Sequence[Question], named: Sequence[Sequence[str]], *, most: int
) -> Ranked:
    """Judge what was `named`, at most `most` a question; places that were left empty count as wrong."""
    hits = surges = 0
    leads: list[float] = []
    by_place = {question.place: set(names) for question, names in zip(questions, named, strict=True)}
    for question in questions:
        surges += len(question.surges)
        hits += len(question.surges & by_place[question.place])
        for keyword in sorted(question.surges):
            leads.append(lead_hours(days, by_place, place=question.place, keyword=keyword))
    warned = [lead for lead in leads if lead > 0]
    return Ranked(
        precision=hits / (most * len(questions)) if questions else 0.0,
        recall=hits / surges if surges else 0.0,
        lead_hours=fmean(leads) if leads else 0.0,
        surges=surges,
        warned=len(warned),
        lead_hours_of_warned=fmean(warned) if warned else 0.0,
    )


def lead_hours(days: Sequence[Day], named: Mapping[int, Collection[str]], *, place: int, keyword: str) -> float:
    """From the first day that named `keyword`, at most three days before it surges, to the day of its peak; else 0."""
    first = next(
        (
            earlier
            for earlier in range(max(0, place + 1 - WARNED_WITHIN_DAYS), place + 1)
            if keyword in named.get(earlier, ())
        ),
        None,
    )
    if first is None:
        return 0.0
    coming = days[place + 1 : place + 1 + PEAK_WITHIN_DAYS]
    peak = max(coming, key=lambda day: (day.mentions.get(keyword, 0), -day.day.toordinal()))
    return 24.0 * (peak.day - days[first].day).days


def shuffled_days(days: Sequence[Day], *, seed: int) -> list[Day]:
    """The same counts of each keyword on days drawn by lot: history in which nothing happens."""
    chance = random.Random(seed)  # noqa: S311 - no secret is made of it
    counts: dict[str, list[int]] = {}
    for day in days:
        for keyword, mentions in day.mentions.items():
            counts.setdefault(keyword, []).append(mentions)
    mixed: list[dict[str, int]] = [{} for _ in days]
    for keyword, values in sorted(counts.items()):
        for place, mentions in zip(chance.sample(range(len(days)), len(values)), values, strict=True):
            mixed[place][keyword] = mentions
    return [Day(day.day, mentions, {}) for day, mentions in zip(days, mixed, strict=True)]
