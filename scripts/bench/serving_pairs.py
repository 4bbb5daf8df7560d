"""The questions that people ask of search and feed, ours beside what it replaces, and how answers are compared."""

# ruff: noqa: S608 - what is put into statements is ours or quoted here; pgbench takes no parameters.

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

__all__ = ["Contender", "Pair", "pairs"]

QUESTIONS = 60  # different questions of one kind, so that no answer stays warm by itself
COMPARED = 20

Connection = psycopg.Connection[Any]
SERVABLE = "video.is_playable and video.is_shorts and video.expires_at > now()"

# The source's search: every mapping of the keyword joined to its video, sorted, the first twenty kept. Ordered as ours.
SOURCE_SEARCH = f"""
select json_agg(best) from (
    select video.*,
        ln(greatest(private.keyword_relevance(mapping.relevance_score), 0.01)) + card.standing as score
    from public.keyword_video_mappings as mapping
    inner join public.cached_videos as video on mapping.video_id = video.video_id
    inner join private.video_cards as card on video.video_id = card.video_id
    where mapping.keyword = {{text}} and {SERVABLE}
    order by score desc limit 20
) as best
"""
ILIKE = f"""
select json_agg(best) from (
    select video.*
    from public.cached_videos as video
    where video.title ilike '%' || {{text}} || '%' and {SERVABLE}
    order by video.view_count desc limit 20
) as best
"""
# The source's six weights over every video that plays, with the index on seen videos that it lacks.
SOURCE_FEED = f"""
select json_agg(best) from (
    with person as (select * from public.user_profiles where user_id = {{person}}),
    seen as materialized (select video_id from public.video_interactions where user_id = {{person}})
    select video.video_id,
        0.30 * (video.category_name = any(person.preferred_categories))::integer
        + 0.25 * coalesce((
            select max(mapping.relevance_score) from public.keyword_video_mappings as mapping
            where mapping.video_id = video.video_id and mapping.keyword = any(person.preferred_keywords)
        ), 0)
        + 0.15 * 0.5
        + 0.15 * ln(1 + coalesce(video.view_count, 0)) / ln(1 + 1e9)
        + 0.10 * exp(-extract(epoch from now() - video.published_at)::float8 / 604800) as score
    from public.cached_videos as video cross join person
    where {SERVABLE} and video.video_id not in (select seen.video_id from seen)
    order by score desc limit 20
) as best
"""
AS_PERSON = (
    "with claims as materialized (select set_config('request.jwt.claims', '{{\"sub\":\"' || {person}"
    ' || \'","role":"authenticated"}}\', true)) {statement}'
)


@dataclass(frozen=True)
class Contender:
    """One way to answer one kind of question: statements that pgbench picks from, and who asks."""

    name: str
    statements: Sequence[str]
    role: str = "authenticated"


@dataclass(frozen=True)
class Pair:
    """A question, the baseline that it is measured against, and ours."""

    question: str
    baseline: Contender
    ours: Contender
    prepare: Callable[[Connection], None] = lambda connection: None


def pairs(connection: Connection, only: str = "") -> Iterator[Pair]:
    """The pairs whose question fits `only`; each compares its answers first, and what differs ends the run."""
    lookups = [
        f"select video.* from public.cached_videos as video where video.video_id = {quoted(video)}"
        for video in column(
            connection,
            f"select video_id from private.video_cards where is_servable order by md5(video_id) limit {QUESTIONS}",
        )
    ]
    by_key = Contender("a video by its key", lookups)
    for of, keywords in keyword_questions(connection).items():
        question = f"keyword of {of}, page kept"
        if re.search(only, question):
            pages = [f"select public.search_videos({quoted(keyword)})" for keyword in keywords]
            yield Pair(question, by_key, Contender("search_videos", pages), warm(pages))
        question = f"keyword of {of}, ranked anew"
        if re.search(only, question):
            compare_search(connection, keywords)
            source = [SOURCE_SEARCH.format(text=quoted(each)) for each in keywords]
            yield Pair(question, Contender("the source's search", source, "postgres"), find(keywords))

    for kind, texts in title_questions(connection).items():
        question = f"title, {kind}"
        if not re.search(only, question):
            continue
        compare_titles(connection, texts)
        ilike = Contender("ILIKE", [ILIKE.format(text=quoted(text)) for text in texts], "postgres")
        yield Pair(question, ilike, find(texts), prepare=without_trigrams)
        yield Pair(question, Contender("pg_trgm", ilike.statements, "postgres"), find(texts), prepare=with_trigrams)
    without_trigrams(connection)

    people = column(
        connection,
        "select user_id::text from public.user_profiles as profile where exists (select from public.video_interactions"
        " as done where done.user_id = profile.user_id) order by md5(user_id::text) limit 60",
    )
    if re.search(only, "feed, computed"):
        yield Pair(
            "feed, computed",
            Contender(
                "the source's six weights over all",
                [SOURCE_FEED.format(person=quoted(each)) for each in people],
                "postgres",
            ),
            Contender(
                "personalized_feed",
                [
                    AS_PERSON.format(person=quoted(each), statement="select public.personalized_feed(20) from claims")
                    for each in people
                ],
            ),
        )
    if re.search(only, "similar videos"):
        videos = column(
            connection,
            f"select video_id from private.video_cards where is_servable order by md5(video_id) limit {QUESTIONS}",
        )
        yield Pair(
            "similar videos",
            by_key,
            Contender("similar_videos", [f"select public.similar_videos({quoted(video)})" for video in videos]),
        )


def find(texts: Sequence[str]) -> Contender:
    """Searches that no page answers, without counts by category."""
    return Contender(
        "answer_search",
        [
            f"select private.answer_search({quoted(text)}, null, '{{\"facets\": false}}', 20, null, false)"
            for text in texts
        ],
        "postgres",
    )


def keyword_questions(connection: Connection) -> dict[str, list[str]]:
    """Keywords by how much they lead to: those of the most videos, and as often as videos have them."""
    return {
        "many videos": column(
            connection, f"select keyword from private.keywords order by videos desc, keyword limit {QUESTIONS}"
        ),
        "any size": column(
            connection,
            "select keyword from (select keyword from public.keyword_video_mappings tablesample bernoulli (1)"
            f" repeatable (7)) as drawn group by keyword order by md5(keyword) limit {QUESTIONS}",
        ),
    }


def title_questions(connection: Connection) -> dict[str, list[str]]:
    """Parts of real titles by their kind, as people type them: never a whole keyword of the catalogue."""
    kinds = {
        "two syllables": "substr(replace(title_folded, ' ', ''), 3, 2)",
        "four syllables": "substr(replace(title_folded, ' ', ''), 2, 4)",
        "two words": "substring(title_folded from '[^ ]+ [^ ]+')",
        "one syllable": "substr(title_folded, 1, 1)",
    }
    found = {
        kind: column(
            connection,
            f"select distinct {text} from (select title_folded from private.video_cards where is_servable"
            f" order by md5(video_id) limit 400) as card where length({text}) > 0 and not exists (select from"
            f" private.keywords as known where known.keyword = {text}) order by 1 limit {QUESTIONS}",
        )
        for kind, text in kinds.items()
    }
    # Two syllables that follow each other in most titles.
    found["common words"] = column(
        connection,
        "select gram from (select substr(word, place, 2) as gram from (select title_folded from private.video_cards"
        " where is_servable order by md5(video_id) limit 5000) as card cross join string_to_table(title_folded, ' ') as"
        " word cross join generate_series(1, length(word) - 1) as place) as pair where not exists (select from"
        " private.keywords as known where known.keyword = pair.gram) group by gram order by count(*) desc, gram"
        " limit 40",
    )
    found["no hit"] = [f"{text}뷁" for text in found["two syllables"]]
    return {kind: texts for kind, texts in found.items() if texts}


def warm(statements: Sequence[str]) -> Callable[[Connection], None]:
    def ask(connection: Connection) -> None:
        with connection.transaction():
            connection.execute("set local role authenticated")
            for statement in statements:
                connection.execute(statement.encode())

    return ask


def with_trigrams(connection: Connection) -> None:
    connection.execute("create extension if not exists pg_trgm with schema extensions")
    connection.execute(
        "create index if not exists bench_titles on public.cached_videos using gin (title extensions.gin_trgm_ops)"
    )


def without_trigrams(connection: Connection) -> None:
    connection.execute("drop index if exists public.bench_titles")


def compare_search(connection: Connection, keywords: Sequence[str]) -> None:
    """The same scores in the same order, to four digits: equal ones may stand in another order."""
    for keyword in keywords[:COMPARED]:
        source = column(connection, SOURCE_SEARCH.replace("json_agg(best)", "best.score").format(text=quoted(keyword)))
        ours = column(
            connection,
            "select posting.score"
            f" from jsonb_array_elements(private.find_videos({quoted(keyword)}, '{{\"facets\": false}}', 20, null,"
            " false) -> 'videos') with ordinality as answer (video, place)"
            " inner join private.video_cards as card on answer.video ->> 'video_id' = card.video_id"
            " inner join private.keyword_postings as posting on card.video_no = posting.video_no"
            " inner join private.keywords as known on posting.keyword_no = known.keyword_no"
            f" where known.keyword = private.search_key({quoted(keyword)}) order by answer.place",
        )
        short = min(len(source), len(ours))
        if short == 0 or any(abs(a - b) > 0.02 for a, b in zip(source[:short], ours[:short], strict=True)):
            raise SystemExit(f"search and its baseline differ on {keyword!r}: {source[:5]} and {ours[:5]}")


def compare_titles(connection: Connection, texts: Sequence[str]) -> None:
    """What ILIKE finds on folded titles of Shorts that play, ours must find: all of it."""
    for text in texts[:COMPARED]:
        row = connection.execute(
            "select (select count(*) from private.video_cards where is_servable and strpos(title_folded, %s) > 0),"
            " (private.find_videos(%s, '{\"facets\":false}', 50, null, false) -> 'videos')",
            [text, text],
        ).fetchone()
        assert row is not None
        if len(row[1]) < min(row[0], 50):
            raise SystemExit(f"search finds {len(row[1])} of {row[0]} titles with {text!r}")


def column(connection: Connection, statement: str) -> list[Any]:
    return [row[0] for row in connection.execute(statement.encode()).fetchall()]


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
