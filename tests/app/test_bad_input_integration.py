"""What nobody should send to the room's functions, over plain HTTP: each is refused, says why, and writes nothing.

A code that begins with PT is ours and has a hint. The others come from before any function of ours runs: PGRST102 (no
JSON) and PGRST202 (no function with these arguments) from PostgREST, 22P02 and 22003 (no value of the argument's type),
22P05 (a NUL character) and 54001 (JSON thousands deep, the one answer of 500: docs/errors.md) from Postgres.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest
from psycopg import sql

from scripts.local_stack.settings import Stack

UNKNOWN = "5a3b1e00-0000-4000-8000-00000000dead"
VIDEO = f"b{uuid4().hex[:8]}"
MEGABYTE = 1024 * 1024
FUNCTIONS: dict[str, dict[str, Any]] = {
    "start_search": {"query": "김치"},
    "end_search": {"session": UNKNOWN},
    "record_interaction": {"interactions": [{"video_id": VIDEO, "interaction_type": "view"}]},
    "record_watch_event": {"events": [{"interaction_id": UNKNOWN, "event_type": "play"}]},
    "submit_feedback": {"video_id": VIDEO, "feedback_type": "like"},
    "report_playback_error": {"video_id": VIDEO, "error_code": 150},
    "touch_cached_video": {"video_id": VIDEO},
}


@dataclass
class World:
    """A person with a search and an interaction, a stranger with the same, and who may look at everything."""

    http: httpx.Client
    database: psycopg.Connection[tuple[Any, ...]]
    tokens: dict[str, str] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)

    def call(self, function: str, body: Any, *, who: str | None = "own") -> httpx.Response:
        """`body` is sent as JSON, or as it is when it is bytes."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        if who is not None:
            headers["Authorization"] = f"Bearer {self.tokens[who]}"
        return self.http.post(f"/rest/v1/rpc/{function}", content=content, headers=headers)

    def state(self) -> dict[str, tuple[Any, ...]]:
        """How many rows each table has, and what is in those of the two people."""
        found: dict[str, tuple[Any, ...]] = {}
        for schema, table, is_own in self.database.execute(TABLES).fetchall():
            name = sql.Identifier(schema, table)
            count = self.database.execute(sql.SQL("select count(*) from {}").format(name)).fetchone()
            digest: tuple[Any, ...] | None = ()
            if is_own:
                digest = self.database.execute(DIGEST.format(name), [list(self.ids.values())]).fetchone()
            found[f"{schema}.{table}"] = (*(count or ()), *(digest or ()))
        return found


# Requests are counted whether they are refused or not.
TABLES = """
    select
        relnamespace::regnamespace::text,
        relname::text,
        exists (select from pg_attribute where attrelid = pg_class.oid and attname = 'user_id')
    from pg_class
    where
        relnamespace in ('public'::regnamespace, 'private'::regnamespace)
        and relkind in ('r', 'p')
        and not relispartition
        and relname <> 'counted_requests'
"""
DIGEST = sql.SQL(
    "select md5(string_agg(own::text, ',' order by own::text)) from {} as own where own.user_id::text = any(%s)"
)


@pytest.fixture(scope="module")
def world(stack: Stack, without_jobs: None) -> Iterator[World]:
    service = {"apikey": stack.keys.secret, "Content-Type": "application/json"}
    with (
        httpx.Client(base_url=stack.api_url, headers={"apikey": stack.keys.publishable}, timeout=60) as http,
        psycopg.connect(stack.database_url(), autocommit=True) as database,
    ):
        made = World(http, database)
        video = {"video_id": VIDEO, "title": "시험", "is_embeddable": True, "privacy_status": "public", "duration": 30}
        http.post("/rest/v1/cached_videos", json=video, headers=service).raise_for_status()
        for who in ("own", "foreign", "trial", "erased"):
            person = {"email": f"{uuid4()}@example.com", "password": "long-enough-for-a-test"}
            answer = http.post("/auth/v1/signup", json=person).raise_for_status().json()
            made.tokens[who], made.ids[who] = answer["access_token"], answer["user"]["id"]
        tier = {"user_id": made.ids["trial"], "tier": "trial", "source": "trial"}
        http.post("/rest/v1/user_tiers", json=tier, headers=service).raise_for_status()
        http.delete(f"/auth/v1/admin/users/{made.ids['erased']}", headers=service).raise_for_status()
        for who in ("own", "foreign"):
            search = made.call("start_search", {"query": "김치"}, who=who).raise_for_status().json()
            made.ids[f"{who} search"], made.ids[f"{who} visit"] = search["id"], search["session_id"]
            row = {"video_id": VIDEO, "interaction_type": "view", "session_id": search["id"]}
            recorded = made.call("record_interaction", {"interactions": [row]}, who=who).raise_for_status().json()
            made.ids[f"{who} interaction"] = recorded["interactions"][0]["id"]
        yield made
        for who in ("own", "foreign", "trial"):
            http.delete(f"/auth/v1/admin/users/{made.ids[who]}", headers=service).raise_for_status()
        http.delete(f"/rest/v1/cached_videos?video_id=eq.{VIDEO}", headers=service).raise_for_status()


def refused(world: World, answer: httpx.Response, *, status: int, code: str) -> dict[str, Any]:
    """The error that was answered, after everything that every refusal has in common."""
    assert answer.headers["content-type"].startswith("application/json"), answer.text[:200]
    error: dict[str, Any] = answer.json()
    assert (answer.status_code, error["code"]) == (status, code), error
    assert error["message"]
    if code.startswith("PT"):
        assert error["hint"], error
        assert status == int(code.removeprefix("PT"))
    return error


@pytest.fixture
def unchanged(world: World) -> Iterator[None]:
    """Nothing half-written: no table has a row more, and nothing of the two people is another than before."""
    before = world.state()
    yield
    after = world.state()
    assert after.keys() == before.keys()
    for table, found in after.items():
        if table in ("private.pending_counts", "private.answered_queries"):
            assert found[0] <= before[table][0], table
        else:
            assert found == before[table], table


Body = Callable[[World], Any]
NAN = b'{"%s": NaN}'
HUGE = 10**30
DEEP = 20_000


def with_(function: str, **changes: Any) -> Body:
    """The function's good arguments with some changed; a value `<own search>` is filled in from the world."""

    def body(world: World) -> Any:
        good: dict[str, Any] = dict(FUNCTIONS[function])
        if function == "end_search":
            good["session"] = world.ids["own search"]
        filled = {name: fill(value, world) for name, value in changes.items()}
        return {**good, **filled}

    return body


def fill(value: Any, world: World) -> Any:
    if isinstance(value, str) and value.startswith("<"):
        return world.ids[value.strip("<>")]
    return value


def argument_cases() -> Iterator[Any]:
    """(function, body, status, code) for single arguments."""
    wrong: dict[str, list[tuple[str, Any, int, str]]] = {
        "start_search": [
            ("query", None, 400, "PT400"),
            ("query", "", 400, "PT400"),
            ("query", " \t\n　", 400, "PT400"),
            ("query", "가" * 501, 400, "PT400"),
            ("query", "x" * 10 * MEGABYTE, 400, "PT400"),
            ("query", "김\x00치", 400, "22P05"),
            ("search_type", "telepathy", 400, "PT400"),
            ("search_type", 7, 400, "PT400"),
            ("search_type", "ai_chat", 403, "PT403"),
            ("search_intent", "theft", 400, "PT400"),
            ("search_intent", ["discovery"], 400, "PT400"),
            ("user_context", "mobile", 400, "PT400"),
            ("user_context", [], 400, "PT400"),
            ("user_context", 5, 400, "PT400"),
            ("user_context", {"device_type": "x" * 5000}, 400, "PT400"),
            ("user_context", {"device_type": "\x00"}, 400, "22P05"),
            ("session_id", "mine", 400, "22P02"),
            ("session_id", 5, 400, "22P02"),
            ("session_id", {}, 400, "22P02"),
            ("session_token", "", 400, "PT400"),
            ("session_token", "x" * 5000, 400, "PT400"),
            ("user_id", UNKNOWN, 404, "PGRST202"),
        ],
        "end_search": [
            ("session", None, 400, "PT400"),
            ("session", "mine", 400, "22P02"),
            ("session", 5, 400, "22P02"),
            ("session", UNKNOWN, 404, "PT404"),
            ("session", "<foreign search>", 404, "PT404"),
            ("session", "<own interaction>", 404, "PT404"),
            ("outcome", "bored", 400, "PT400"),
            ("outcome", 5, 400, "PT400"),
            ("rating", 0, 400, "PT400"),
            ("rating", 6, 400, "PT400"),
            ("rating", -1, 400, "PT400"),
            ("rating", 1.5, 400, "22P02"),
            ("rating", "five", 400, "22P02"),
            ("rating", HUGE, 400, "22003"),
            ("results_count", -1, 400, "PT400"),
            ("results_count", 1_000_001, 400, "PT400"),
            ("results_count", HUGE, 400, "22003"),
            ("results_shown", -1, 400, "PT400"),
            ("results_shown", 100_001, 400, "PT400"),
            ("results_clicked", -1, 400, "PT400"),
            ("results_clicked", 100_001, 400, "PT400"),
            ("results_clicked", [], 400, "22P02"),
            ("response_time_ms", 0, 400, "PT400"),
            ("response_time_ms", -5, 400, "PT400"),
            ("response_time_ms", 86_400_001, 400, "PT400"),
            ("response_time_ms", True, 400, "22P02"),
            ("conversation", {}, 400, "PT400"),
            ("conversation", "hello", 400, "PT400"),
            ("conversation", ["x" * 66_000], 400, "PT400"),
            ("session_ended_at", "2020-01-01T00:00:00Z", 404, "PGRST202"),
        ],
        "record_interaction": [
            ("interactions", None, 400, "PT400"),
            ("interactions", {}, 400, "PT400"),
            ("interactions", "view", 400, "PT400"),
            ("interactions", 5, 400, "PT400"),
            ("interactions", [], 400, "PT400"),
            ("interactions", [{"video_id": VIDEO, "interaction_type": "view"}] * 1001, 413, "PT413"),
            ("interactions", [{"video_id": VIDEO, "interaction_type": "view", "x": "y" * 10 * MEGABYTE}], 413, "PT413"),
            ("interactions", [{"video_id": VIDEO, "interaction_type": "vi\x00ew"}], 400, "22P05"),
        ],
        "record_watch_event": [
            ("events", None, 400, "PT400"),
            ("events", {}, 400, "PT400"),
            ("events", "play", 400, "PT400"),
            ("events", False, 400, "PT400"),
            ("events", [], 400, "PT400"),
            ("events", [{"interaction_id": UNKNOWN, "event_type": "play"}] * 1001, 413, "PT413"),
            ("events", [{"interaction_id": UNKNOWN, "event_type": "p" * 10 * MEGABYTE}], 413, "PT413"),
            ("events", [{"interaction_id": UNKNOWN, "event_type": "\x00"}], 400, "22P05"),
        ],
        "submit_feedback": [
            ("video_id", None, 400, "PT400"),
            ("video_id", "", 400, "PT400"),
            ("video_id", 5, 404, "PT404"),
            ("video_id", "b_unknown", 404, "PT404"),
            ("video_id", "' or true --", 400, "PT400"),
            ("video_id", "x" * 10 * MEGABYTE, 400, "PT400"),
            ("video_id", "b\x00", 400, "22P05"),
            ("feedback_type", None, 400, "PT400"),
            ("feedback_type", "love", 400, "PT400"),
            ("feedback_type", 5, 400, "PT400"),
            ("reason", "because", 400, "PT400"),
            ("reason", {}, 400, "PT400"),
            ("comment", "가" * 2001, 400, "PT400"),
            ("comment", "x" * 10 * MEGABYTE, 400, "PT400"),
            ("comment", "\x00", 400, "22P05"),
            ("session_id", "mine", 400, "22P02"),
            ("session_id", UNKNOWN, 404, "PT404"),
            ("session_id", "<foreign visit>", 404, "PT404"),
            ("source_keyword", "가" * 256, 400, "PT400"),
            ("position_in_list", -1, 400, "PT400"),
            ("position_in_list", 100_001, 400, "PT400"),
            ("position_in_list", 0.5, 400, "22P02"),
            ("position_in_list", "first", 400, "22P02"),
            ("position_in_list", HUGE, 400, "22003"),
            ("user_id", "<foreign>", 404, "PGRST202"),
        ],
        "report_playback_error": [
            ("video_id", None, 400, "PT400"),
            ("video_id", "b_unknown", 404, "PT404"),
            ("video_id", "../../etc/passwd", 400, "PT400"),
            ("error_code", None, 400, "PT400"),
            ("error_code", 0, 400, "PT400"),
            ("error_code", -150, 400, "PT400"),
            ("error_code", 7, 400, "PT400"),
            ("error_code", 150.5, 400, "22P02"),
            ("error_code", "broken", 400, "22P02"),
            ("error_code", HUGE, 400, "22003"),
            ("region", "kr", 400, "PT400"),
            ("region", "XX", 400, "PT400"),
            ("region", 82, 400, "PT400"),
            ("region", "KOREA", 400, "PT400"),
            ("region", "\x00", 400, "22P05"),
        ],
        "touch_cached_video": [
            ("video_id", "\x00", 400, "22P05"),
            ("id", UNKNOWN, 404, "PGRST202"),
        ],
    }
    for function, cases in wrong.items():
        for name, value, status, code in cases:
            shown = repr(value) if len(repr(value)) < 30 else f"{type(value).__name__} of {len(repr(value)):,}"
            yield pytest.param(
                function, with_(function, **{name: value}), status, code, id=f"{function}-{name}={shown}"
            )


def body_cases() -> Iterator[Any]:
    """(function, body, status, code) for bodies as a whole."""
    for function, good in FUNCTIONS.items():
        name, value = next(iter(good.items()))
        bodies: list[tuple[str, Any, int, str]] = [
            ("missing arguments", {}, 404, "PGRST202"),
            ("another argument", {**good, "nothing": 1}, 404, "PGRST202"),
            ("NaN", NAN % name.encode(), 400, "PGRST102"),
            ("half a body", json.dumps(good).encode()[:-1], 400, "PGRST102"),
            ("half a surrogate", json.dumps({**good, name: "?"}).replace("?", "\\ud800").encode(), 400, "22P02"),
        ]
        if isinstance(value, list):
            deep = b'{"%s": %s}' % (name.encode(), b"[" * DEEP + b"]" * DEEP)
            bodies.append(("deep", deep, 500, "54001"))
        for shown, body, status, code in bodies:
            yield pytest.param(function, lambda _, body=body: body, status, code, id=f"{function}-{shown}")


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(("function", "body", "status", "code"), [*argument_cases(), *body_cases()])
def test_a_bad_argument_is_refused(world: World, function: str, body: Body, status: int, code: str) -> None:
    """S-256, S-258, S-259, S-260, S-261: a stable code, a hint where the error is ours, and nothing written."""
    refused(world, world.call(function, body(world)), status=status, code=code)


def moment(**ago: float) -> str:
    return (datetime.now(UTC) - timedelta(**ago)).isoformat()


INTERACTION_ROWS: list[tuple[Any, str]] = [
    (None, "ON001"),
    ("view", "ON001"),
    ([], "ON001"),
    ({}, "ON002"),
    ({"video_id": None}, "ON002"),
    ({"video_id": 5}, "ON002"),
    ({"video_id": ""}, "ON002"),
    ({"video_id": "' or true --"}, "ON002"),
    ({"video_id": "b_unknown"}, "ON012"),
    ({"interaction_type": None}, "ON009"),
    ({"interaction_type": "steal"}, "ON009"),
    ({"interaction_type": 5}, "ON009"),
    ({"id": "mine"}, "ON011"),
    ({"id": 5}, "ON011"),
    ({"id": "<foreign interaction>"}, "ON015"),
    ({"session_id": "mine"}, "ON011"),
    ({"session_id": UNKNOWN}, "ON013"),
    ({"session_id": "<foreign search>"}, "ON013"),
    ({"interaction_value": -1}, "ON007"),
    ({"interaction_value": 101}, "ON007"),
    ({"interaction_value": "1"}, "ON007"),
    ({"watch_duration": -1}, "ON007"),
    ({"watch_duration": 86_401}, "ON007"),
    ({"watch_duration": 1.5}, "ON007"),
    ({"watch_duration": HUGE}, "ON007"),
    ({"watch_duration": "15"}, "ON007"),
    ({"total_duration": -1}, "ON007"),
    ({"total_duration": HUGE}, "ON007"),
    ({"total_duration": [30]}, "ON007"),
    ({"watch_percentage": -0.1}, "ON007"),
    ({"watch_percentage": 1.1}, "ON007"),
    ({"watch_percentage": HUGE}, "ON007"),
    ({"watch_percentage": "NaN"}, "ON007"),
    ({"watched_to_end": "yes"}, "ON009"),
    ({"clicked_thumbnail": 1}, "ON009"),
    ({"clicked_title": {}}, "ON009"),
    ({"opened_in_youtube": "true"}, "ON009"),
    ({"user_rating": 0}, "ON007"),
    ({"user_rating": 6}, "ON007"),
    ({"user_rating": "5"}, "ON007"),
    ({"feedback_text": 5}, "ON003"),
    ({"feedback_text": "가" * 2001}, "ON004"),
    ({"interaction_context": "search"}, "ON014"),
    ({"interaction_context": [1]}, "ON014"),
    ({"interaction_context": {"source": "x" * 5000}}, "ON014"),
    ({"interaction_timestamp": 1_700_000_000}, "ON005"),
    ({"interaction_timestamp": "yesterday"}, "ON005"),
    ({"interaction_timestamp": "infinity"}, "ON005"),
    ({"interaction_timestamp": "2026-02-30T00:00:00Z"}, "ON005"),
    ({"interaction_timestamp": moment(days=-1)}, "ON006"),
    ({"interaction_timestamp": moment(days=8)}, "ON006"),
    ({"interaction_timestamp": "1970-01-01T00:00:00Z"}, "ON006"),
    ({"interaction_timestamp": "9999-12-31T23:59:59Z"}, "ON006"),
]
EVENT_ROWS: list[tuple[Any, str]] = [
    (None, "ON001"),
    (5, "ON001"),
    ({"interaction_id": None}, "ON011"),
    ({"interaction_id": "mine"}, "ON011"),
    ({"interaction_id": UNKNOWN}, "ON013"),
    ({"interaction_id": "<foreign interaction>"}, "ON013"),
    ({"interaction_id": "<own search>"}, "ON013"),
    ({"event_type": None}, "ON009"),
    ({"event_type": "explode"}, "ON009"),
    ({"id": "mine"}, "ON011"),
    ({"video_timestamp": -1}, "ON007"),
    ({"video_timestamp": HUGE}, "ON007"),
    ({"video_timestamp": "1"}, "ON007"),
    ({"event_type": "seek", "seek_from": -1}, "ON007"),
    ({"event_type": "seek", "seek_to": 86_401}, "ON007"),
    ({"event_type": "seek", "seek_to": 0.5}, "ON007"),
    ({"seek_from": 1}, "ON017"),
    ({"seek_to": 1}, "ON017"),
    ({"event_timestamp": "soon"}, "ON005"),
    ({"event_timestamp": 5}, "ON005"),
    ({"event_timestamp": moment(days=-1)}, "ON006"),
    ({"event_timestamp": moment(days=8)}, "ON006"),
    ({"event_timestamp": "1970-01-01T00:00:00Z"}, "ON006"),
]


def row_cases() -> Iterator[Any]:
    for function, rows in (("record_interaction", INTERACTION_ROWS), ("record_watch_event", EVENT_ROWS)):
        for change, code in rows:
            shown = repr(change) if len(repr(change)) < 60 else f"{next(iter(change))} of {len(repr(change))}"
            yield pytest.param(function, change, code, id=f"{function}-{shown}")


def batch_row(world: World, function: str, change: Any) -> tuple[str, Any]:
    """The name of the function's batch, and its good row with the change."""
    name = {"record_interaction": "interactions", "record_watch_event": "events"}[function]
    good: dict[str, Any] = {
        "record_interaction": {"video_id": VIDEO, "interaction_type": "view"},
        "record_watch_event": {"interaction_id": world.ids["own interaction"], "event_type": "play"},
    }[function]
    if isinstance(change, dict):
        if not change:
            return name, {}
        return name, {**good, **{key: fill(value, world) for key, value in change.items()}}
    return name, change


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(("function", "change", "code"), [*row_cases()])
def test_a_bad_row_is_refused(world: World, function: str, change: Any, code: str) -> None:
    """S-260, S-261: the only row of a batch is bad: PT400 with its message and hint, its code in the details."""
    name, row = batch_row(world, function, change)
    error = refused(world, world.call(function, {name: [row]}), status=400, code="PT400")
    [rejected] = json.loads(error["details"])
    assert (rejected["index"], rejected["code"]) == (0, code)
    assert (rejected["message"], rejected["hint"]) == (error["message"], error["hint"])


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("number", ["1e400", "-1e400", "1e-400"])
def test_a_number_beyond_a_double_is_refused(world: World, number: str) -> None:
    """S-260: JSON knows numbers that no column takes."""
    row = json.dumps({"video_id": VIDEO, "interaction_type": "view", "watch_percentage": 5}).replace("5}", number + "}")
    batch = f'{{"interactions": [{row}]}}'.encode()
    error = refused(world, world.call("record_interaction", batch), status=400, code="PT400")
    assert json.loads(error["details"])[0]["code"] == "ON007"
    report = json.dumps({"video_id": VIDEO, "error_code": 5}).replace("5}", number + "}").encode()
    refused(world, world.call("report_playback_error", report), status=400, code="22P02")


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("function", FUNCTIONS)
def test_nobody_but_a_person_calls_them(world: World, function: str) -> None:
    """S-256, S-258, S-259, S-260, S-261: without a token 401, with a broken one 401, of an erased account 403."""
    body = FUNCTIONS[function]
    refused(world, world.call(function, body, who=None), status=401, code="42501")
    world.tokens["broken"] = world.tokens["own"][:-4] + "AAAA"
    refused(world, world.call(function, body, who="broken"), status=401, code="PGRST301")
    if function != "touch_cached_video":
        refused(world, world.call(function, body, who="erased"), status=403, code="PT403")


def test_the_cache_says_nothing_of_what_it_has_not(world: World) -> None:
    """Unknown, absurd and null ids are no error and no row, and count nothing."""
    before = world.state()
    for video_id in ("b_unknown", "", None, "x" * 10 * MEGABYTE, "' or true --", 5):
        answer = world.call("touch_cached_video", {"video_id": video_id})
        assert (answer.status_code, answer.json()) == (200, [])
    assert world.state()["private.pending_counts"][0] <= before["private.pending_counts"][0]


def test_good_rows_are_kept_and_bad_ones_named(world: World) -> None:
    """S-260: of a mixed batch each row has one fate; keys that are not the caller's to set change nothing."""
    good = {"video_id": VIDEO, "interaction_type": "view"}
    forged = {**good, "user_id": world.ids["foreign"], "created_at": "2020-01-01T00:00:00Z", "completion_rate": 1}
    rows = [good, {**good, "video_id": "b_unknown"}, forged, {**good, "watch_duration": -1}, None]
    try:
        answer = world.call("record_interaction", {"interactions": rows})
        assert answer.status_code == 200
        recorded = answer.json()
        assert (recorded["received"], recorded["stored"], recorded["repeated"]) == (5, 2, 0)
        assert [row["index"] for row in recorded["interactions"]] == [0, 2]
        assert [(row["index"], row["code"]) for row in recorded["rejected"]] == [
            (1, "ON012"),
            (3, "ON007"),
            (4, "ON001"),
        ]
        assert all(row["message"] and row["hint"] for row in recorded["rejected"])
        stored = world.database.execute(
            "select user_id::text, created_at > now() - interval '1 minute', completion_rate::integer "
            "from public.video_interactions where id = %s",
            [recorded["interactions"][1]["id"]],
        ).fetchall()
        assert stored == [(world.ids["own"], True, 0)]
    finally:
        world.database.execute(
            "delete from public.video_interactions where user_id = %s and id <> %s",
            [world.ids["own"], world.ids["own interaction"]],
        )


def test_a_trial_ends_at_its_limit(world: World) -> None:
    """S-260: on trial what fits into the day is stored and the rest named; when nothing fits, it is PT429."""
    row = {"video_id": VIDEO, "interaction_type": "view"}
    recorded = world.call("record_interaction", {"interactions": [row] * 60}, who="trial").raise_for_status().json()
    assert (recorded["stored"], len(recorded["rejected"])) == (50, 10)
    assert {(rejected["code"], bool(rejected["hint"])) for rejected in recorded["rejected"]} == {("ON016", True)}
    refused(world, world.call("record_interaction", {"interactions": [row]}, who="trial"), status=429, code="PT429")
    stored = world.database.execute(
        "select count(*) from public.video_interactions where user_id = %s", [world.ids["trial"]]
    ).fetchone()
    assert stored == (50,)
