"""Whatever is sent as a search is answered with sense, or refused with a code of the 400s and a hint."""

from __future__ import annotations

import base64
import json
import unicodedata
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from scripts.local_stack.settings import Stack

STRANGE = {
    "emoji": "🔥🔥👨‍👩‍👧‍👦",
    "mixed scripts": "맛집 グルメ еда مطعم 美食 food",
    "right to left": "\u202eمطعم 맛집",
    "sql": "'; drop table public.cached_videos; --",
    "sql union": "맛집' union select encrypted_password from auth.users --",
    "tsquery": "맛집 & !(제주 | <-> :* ''",
    "like": "%_%\\%",
    "regular expression": "(맛|집){9}.*[^a]+$^\\1",
    "format": "%s %I %L {0} ${x}",
    "nfd": unicodedata.normalize("NFD", "제주 맛집을 추천"),
    "single syllable": "맛",
    "single jamo": "ㅁ",
    "marks alone": "\u0301\u0301\u0301",
    "zero width": "\u200b\u200d맛\u200b집",
    "one letter 200 times": "가" * 200,
    "two letters in turn": "가 " * 100,
    "grows eighteenfold": "ﷺ" * 200,
    "control": "\x01\x02맛집\x1f",
    "highest": "\U0010ffff",
    "newline": "맛집\n제주",
}
CURSORS = {
    "empty": "",
    "no base64": "!!!!",
    "garbage": "AAAAAAAAAAAA",
    "not ours": base64.urlsafe_b64encode(b'{"p":0,"s":1,"v":1,"h":"keyword","d":"0123456789abcdef"}')
    .decode()
    .rstrip("="),
    "bytes that are no text": base64.urlsafe_b64encode(b"\xff\xfe\x00\x01" * 8).decode().rstrip("="),
    "deep": base64.urlsafe_b64encode(b"[" * 140).decode().rstrip("="),
    "ten kilobytes": "A" * 10_000,
    "sql": "' or 1=1 --",
}


@pytest.fixture
def database(stack: Stack) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(stack.database_url()) as connection:
        mark = uuid4().hex[:8]
        for number, (title, views) in enumerate(
            [("제주 맛집을 추천", 5000), ("제주 맛집 비밀", 1000), ("맛 집", 2000)]
        ):
            connection.execute(
                "insert into public.cached_videos"
                " (video_id, title, duration, is_embeddable, privacy_status, view_count)"
                " values (%s, %s, 50, true, 'public', %s)",
                (f"{mark}-{number}", title, views),
            )
        connection.execute("select private.fold_video_cards()")
        yield connection
        connection.rollback()


def search(
    database: psycopg.Connection[Any],
    query: str | None,
    *,
    filters: str = "{}",
    most: int | None = 20,
    cursor: str | None = None,
    anonymous: bool = True,
) -> dict[str, Any]:
    row = database.execute(
        "select private.find_videos(%s, %s::jsonb, %s, %s, %s)", (query, filters, most, cursor, anonymous)
    ).fetchone()
    assert row is not None
    answer: dict[str, Any] = row[0]
    return answer


def refused(database: psycopg.Connection[Any], query: str | None, **arguments: Any) -> None:
    with pytest.raises(psycopg.Error) as told, database.transaction():
        search(database, query, **arguments)
    assert told.value.sqlstate == "PT400"
    assert told.value.diag.message_hint


@pytest.mark.parametrize("query", STRANGE.values(), ids=STRANGE.keys())
def test_strange_questions_are_answered(database: psycopg.Connection[Any], query: str) -> None:
    """S-212: no exception, no row too many, highlights inside the titles."""
    answer = search(database, query)
    assert answer["query"] == query
    assert answer["how"] in {"keyword", "title", "synonym", "corrected", "none"}
    for video in answer["videos"]:
        assert video["view_count"] > 1000
        for start, length in video["highlights"]:
            assert 0 <= start < start + length <= len(video["title"])


@pytest.mark.parametrize("query", [None, "", "   ", "\t", "가" * 201, "a" * 10_240, "🔥" * 2560])
def test_nothing_and_books_are_refused(database: psycopg.Connection[Any], query: str | None) -> None:
    refused(database, query)


@pytest.mark.parametrize("most", [None, -1, 0, 51, 2147483647, -2147483648])
def test_limits_are_1_to_50(database: psycopg.Connection[Any], most: int | None) -> None:
    refused(database, "맛집", most=most)


@pytest.mark.parametrize(
    "filters",
    [
        '{"category_id": -1}',
        '{"category_id": "1; drop"}',
        '{"category_id": 1e400}',
        '{"category_id": [1]}',
        '{"region": "kr"}',
        '{"region": "ZZ"}',
        '{"region": {"a": 1}}',
        '{"max_duration": 0}',
        '{"max_duration": 0.5}',
        '{"min_quality": "NaN"}',
        '{"min_quality": -0.1}',
        '{"min_quality": 1e-400}',
        '{"facets": "yes"}',
        '{"is_playable": false}',
        "[]",
        '"맛집"',
        "1",
    ],
)
def test_filters_that_cannot_be_true_are_refused(database: psycopg.Connection[Any], filters: str) -> None:
    refused(database, "맛집", filters=filters)


@pytest.mark.parametrize("cursor", CURSORS.values(), ids=CURSORS.keys())
def test_forged_cursors_are_refused(database: psycopg.Connection[Any], cursor: str) -> None:
    refused(database, "맛집", cursor=cursor)


def test_cursors_belong_to_one_question(database: psycopg.Connection[Any]) -> None:
    cursor = search(database, "제주", most=1, anonymous=False)["next_cursor"]
    assert cursor is not None
    assert search(database, "제주", most=1, cursor=cursor, anonymous=False)["videos"]
    refused(database, "맛집", cursor=cursor, anonymous=False)
    refused(database, "제주", filters='{"max_duration": 60}', cursor=cursor, anonymous=False)
    refused(database, "제주", cursor=cursor, anonymous=True)
    opened = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    for change in ({"p": 99}, {"v": 2**40}, {"s": 1e300}, {"s": "x"}, {"h": "<script>"}, {"x": 1}):
        forged = json.dumps({**opened, **change}, separators=(",", ":")).encode()
        refused(database, "제주", cursor=base64.urlsafe_b64encode(forged).decode().rstrip("="), anonymous=False)


def test_anonymous_visitors_see_what_the_policy_shows(database: psycopg.Connection[Any]) -> None:
    """S-239: 1,000 views are hidden, more are seen; who is signed in sees both."""
    seen = {video["title"] for video in search(database, "제주 맛집")["videos"]}
    assert "제주 맛집을 추천" in seen
    assert "제주 맛집 비밀" not in seen
    assert "제주 맛집 비밀" in {video["title"] for video in search(database, "제주 맛집", anonymous=False)["videos"]}


@pytest.mark.parametrize("role", ["anon", "authenticated"])
@pytest.mark.parametrize(
    "table",
    ["video_cards", "keywords", "keyword_postings", "frequent_grams", "unlisted_cards", "card_marks", "wanted_cards"],
)
def test_derived_tables_are_nobodys(database: psycopg.Connection[Any], role: str, table: str) -> None:
    database.execute(sql.SQL("set local role {}").format(sql.Identifier(role)))
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        database.execute(sql.SQL("select from private.{}").format(sql.Identifier(table)))
