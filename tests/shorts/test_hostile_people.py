"""What one or three hostile people must not do to the database and to everybody else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest

from scripts.local_stack.settings import Stack

HUGE = ",".join(["1e131071"] * 20_000)  # 180 kB to send, 2.6 GB as text: more than Postgres can hold, and a 500


class Person:
    """Somebody who has just signed up, and says what they like over plain HTTP."""

    def __init__(self, stack: Stack) -> None:
        self._url, key = stack.api_url, stack.keys.publishable
        sent = {"email": f"{uuid4()}@example.com", "password": "long-enough-for-a-test"}
        answer = httpx.post(f"{self._url}/auth/v1/signup", headers={"apikey": key}, json=sent).json()
        self.id: str = answer["user"]["id"]
        self._headers = {
            "apikey": key,
            "authorization": f"Bearer {answer['access_token']}",
            "content-type": "application/json",
        }

    def ask(self, method: str, path: str, body: str = "", **headers: str) -> httpx.Response:
        named = {**self._headers, **headers}
        return httpx.request(method, f"{self._url}/rest/v1/{path}", headers=named, content=body, timeout=30)

    def call(self, name: str, **arguments: Any) -> httpx.Response:
        return self.ask("POST", f"rpc/{name}", json.dumps(arguments))


@pytest.fixture
def person(stack: Stack) -> Person:
    return Person(stack)


@pytest.fixture
def database(stack: Stack) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(stack.database_url(), autocommit=True) as connection:
        yield connection


def add_videos(database: psycopg.Connection[Any], count: int) -> list[str]:
    mark = uuid4().hex[:8]
    database.execute(
        "insert into public.cached_videos (video_id, title, is_embeddable, privacy_status)"
        " select %s || number, 't', true, 'public' from generate_series(1, %s) as number",
        (mark, count),
    )
    return [f"{mark}{number}" for number in range(1, count + 1)]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "rpc/start_search", '{"query": "x", "user_context": {"a": [%s]}}'),
        ("POST", "search_sessions", '{"search_query": "x", "conversation_context": [%s]}'),
        ("POST", "rpc/record_interaction", '{"interactions": [{"video_id": "x", "feedback_text": [%s]}]}'),
        ("POST", "rpc/record_watch_event", '{"events": [{"event_type": [%s]}]}'),
        ("PATCH", "users?id=not.is.null", '{"settings": {"a": [%s]}}'),
    ],
)
def test_numbers_of_131072_digits_are_refused_before_they_are_written_out(
    person: Person, method: str, path: str, body: str
) -> None:
    answer = person.ask(method, path, body.replace("%s", HUGE))
    assert answer.status_code in {400, 413}, answer.text
    assert answer.json()["code"] in {"PT400", "PT413", "23514"}


def test_estimates_tell_nothing_of_others(stack: Stack, person: Person, database: psycopg.Connection[Any]) -> None:
    other, word = Person(stack), f"secret {uuid4()}"
    database.execute(
        "insert into public.search_sessions (user_id, search_query) select %s, %s from generate_series(1, 200)",
        (other.id, word),
    )
    database.execute("analyze public.search_sessions")
    for filters in (f"search_query=eq.{word}", f"user_id=eq.{other.id}"):
        for count in ("planned", "estimated"):
            answer = person.ask("GET", f"search_sessions?select=id&{filters}", Prefer=f"count={count}")
            assert (answer.status_code, answer.json()["code"]) == (400, "PT400")
            assert "content-range" not in answer.headers
    exact = person.ask("GET", f"search_sessions?select=id&search_query=eq.{word}", Prefer="count=exact")
    assert (exact.status_code, exact.headers["content-range"]) == (200, "*/0")


def test_three_people_do_not_empty_the_catalogue(stack: Stack, database: psycopg.Connection[Any]) -> None:
    videos = add_videos(database, 30)
    for _ in range(3):
        reporter = Person(stack)
        for video in videos:
            reporter.call("report_playback_error", video_id=video, error_code=150)
    taken = database.execute("select private.take_out_unplayable(1000)").fetchone()
    assert taken == (0,)


def test_one_person_counts_once_a_call_and_floods_no_counter(person: Person, database: psycopg.Connection[Any]) -> None:
    videos = add_videos(database, 1000)
    database.execute("delete from private.pending_counts")
    search = person.call("start_search", query=f"junk {uuid4()}").json()["id"]
    click = {"interaction_type": "skip", "clicked_title": True, "session_id": search}
    assert person.call("record_interaction", interactions=[{"video_id": v, **click} for v in videos]).is_success
    assert database.execute("select count(*) from private.pending_counts").fetchone() == (0,)


def test_one_statement_inserts_no_more_than_a_batch(person: Person, database: psycopg.Connection[Any]) -> None:
    (video,) = add_videos(database, 1)
    rows = [{"video_id": video, "interaction_type": "skip"}] * 20000
    assert person.ask("POST", "video_interactions", json.dumps(rows)).status_code == 413


@pytest.mark.parametrize(
    ("table", "row"),
    [
        ("search_sessions", {"search_query": "x"}),
        ("user_feedback", {"feedback_type": "like"}),
        ("user_session_details", {}),
    ],
)
def test_nor_into_any_other_table(
    person: Person, database: psycopg.Connection[Any], table: str, row: dict[str, Any]
) -> None:
    rows = [dict(row) for _ in range(1001)]
    for video, sent in zip(add_videos(database, 1001), rows, strict=True):
        if table == "user_feedback":
            sent["video_id"] = video
        if table == "user_session_details":
            sent["session_id"] = str(uuid4())
    answer = person.ask("POST", table, json.dumps(rows))
    assert (answer.status_code, answer.json()["code"], bool(answer.json()["hint"])) == (413, "PT413", True)
    assert person.ask("POST", table, json.dumps(rows[:1000])).status_code == 201


def test_one_person_asks_whether_another_has_asked(stack: Stack, person: Person) -> None:
    """S-209: the cache answers one's own question again, and tells nothing of what others asked."""
    other, words = Person(stack), f"secret {uuid4()}"
    for asking in (other, person):
        first = asking.call("start_search", query=words).json()
        assert first["cache_hit"] is False
        assert asking.call("end_search", session=first["id"], results_count=3).is_success
        assert asking.call("start_search", query=words).json()["cache_hit"] is True


def test_words_of_an_erased_person_are_gone_from_older_days(
    stack: Stack, person: Person, database: psycopg.Connection[Any]
) -> None:
    words = f"hong gildong {uuid4()}"
    person.call("start_search", query=words)
    database.execute("select private.rollup_keyword_metrics(private.korean_day())")
    database.execute("update public.keyword_effectiveness set date = date - 3 where keyword = %s", (words,))
    database.execute("select public.erase_user(%s)", (person.id,))
    left = database.execute("select count(*) from public.keyword_effectiveness where keyword = %s", (words,))
    assert left.fetchone() == (0,)


def test_who_is_nobody_uses_up_no_ones_writes(stack: Stack, person: Person, database: psycopg.Connection[Any]) -> None:
    database.execute("delete from private.counted_requests")
    for named in (person.id, "203.0.113.9"):
        headers = {"apikey": stack.keys.publishable, "cf-connecting-ip": named}
        assert httpx.post(f"{stack.api_url}/rest/v1/rpc/trending_now", headers=headers, json={}).is_success
    person.call("trending_now")
    identities = database.execute("select count(distinct identity) from private.counted_requests").fetchone()
    assert identities == (3,)
