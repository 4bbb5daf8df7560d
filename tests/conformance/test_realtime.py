"""Realtime through supabase-py (protocol 1.0.0): Postgres Changes, Broadcast, Presence, private channels."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg
import pytest
from realtime import AsyncRealtimeChannel, RealtimeSubscribeStates
from realtime.exceptions import RealtimeHTTPError
from realtime.types import RealtimeAcknowledgementStatus
from supabase import AsyncClient

from .conftest import Person, Target, publishing

Event = dict[str, Any]
WITHIN = 10.0  # seconds for anything to arrive
QUIET = 1.0  # seconds in which nothing may arrive


class Heard:
    """What a channel's callbacks were called with, in order."""

    def __init__(self) -> None:
        self._events: asyncio.Queue[Any] = asyncio.Queue()

    def __call__(self, event: Any) -> None:
        self._events.put_nowait(event)

    async def next(self) -> Any:
        return await asyncio.wait_for(self._events.get(), WITHIN)

    async def several(self, count: int) -> list[Any]:
        return [await self.next() for _ in range(count)]

    async def nothing(self) -> None:
        with pytest.raises(TimeoutError):
            raise AssertionError(await asyncio.wait_for(self._events.get(), QUIET))


def topic(kind: str = "room") -> str:
    return f"conformance:{kind}:{secrets.token_hex(6)}"


def channel_of(client: AsyncClient, name: str, **config: Any) -> AsyncRealtimeChannel:
    """A channel with every setting of `config` beside the defaults."""
    settings: Any = {
        "broadcast": {"self": False, "ack": False},
        "presence": {"key": "", "enabled": False},
        "private": False,
    }
    options: Any = {"config": {**settings, **config}}
    return client.channel(name, options)


@asynccontextmanager
async def joined(client: AsyncClient, channel: AsyncRealtimeChannel) -> AsyncIterator[AsyncRealtimeChannel]:
    """The channel once it is SUBSCRIBED; it leaves at the end."""
    states: list[tuple[RealtimeSubscribeStates, Exception | None]] = []
    try:
        await channel.subscribe(lambda state, error: states.append((state, error)))
        assert states[0][0] == RealtimeSubscribeStates.SUBSCRIBED, states
        yield channel
    finally:
        await client.remove_all_channels()


@asynccontextmanager
async def listening(client: AsyncClient, *wanted: Event, name: str | None = None) -> AsyncIterator[Heard]:
    """What arrives of the wanted changes, from the moment that the server says they flow."""
    channel, heard, system = channel_of(client, name or topic()), Heard(), Heard()
    for each in wanted:
        options = {"event": "*", "schema": "public", **each}
        channel.on_postgres_changes(options.pop("event"), lambda event: heard(event["data"]), **options)
    channel.on_system(system)
    async with joined(client, channel):
        assert (await system.next()).message == "Subscribed to PostgreSQL"
        yield heard


async def refused(client: AsyncClient, channel: AsyncRealtimeChannel) -> str:
    """Why a join is refused."""
    states: list[tuple[RealtimeSubscribeStates, Exception | None]] = []
    try:
        await channel.subscribe(lambda state, error: states.append((state, error)))
        assert states[0][0] == RealtimeSubscribeStates.CHANNEL_ERROR, states
        return str(states[0][1])
    finally:
        await client.remove_all_channels()


@pytest.fixture
async def database(target: Target) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
    async with await psycopg.AsyncConnection.connect(target.database_url, autocommit=True) as connection:
        await connection.execute(
            "truncate public.conformance_notes, public.conformance_open, public.conformance_touchy"
        )
        yield connection


async def test_everyone_hears_of_the_rows_they_may_see(
    anonymous: AsyncClient,
    member: AsyncClient,
    service: AsyncClient,
    people: tuple[Person, Person],
    database: psycopg.AsyncConnection[Any],
) -> None:
    notes = {"table": "conformance_notes"}
    async with (
        listening(anonymous, notes) as anyone,
        listening(member, notes) as one,
        listening(service, notes) as everything,
    ):
        await database.execute(
            "insert into public.conformance_notes (id, owner, shared)"
            " values (1, %s, false), (2, %s, false), (3, null, true)",
            (people[0].id, people[1].id),
        )
        assert [event["record"]["id"] for event in await everything.several(3)] == [1, 2, 3]
        assert [event["record"]["id"] for event in await one.several(2)] == [1, 3]
        assert (await anyone.next())["record"]["id"] == 3
        await asyncio.gather(anyone.nothing(), one.nothing())


@pytest.mark.usefixtures("deletes_are_told")
async def test_a_deleted_row_is_told_by_its_key_alone(
    anonymous: AsyncClient, database: psycopg.AsyncConnection[Any]
) -> None:
    await database.execute("insert into public.conformance_notes (id, body) values (7, 'secret')")
    async with listening(anonymous, {"table": "conformance_notes", "event": "DELETE"}) as heard:
        await database.execute("update public.conformance_notes set body = 'other'")
        await database.execute("delete from public.conformance_notes")
        event = await heard.next()
    assert (event["type"], event["old_record"]) == ("DELETE", {"id": 7})


async def test_what_the_publication_does_not_publish_is_told_to_nobody(
    target: Target, anonymous: AsyncClient, service: AsyncClient, database: psycopg.AsyncConnection[Any]
) -> None:
    async with (
        listening(anonymous, {"table": "conformance_open"}) as anyone,
        listening(service, {"table": "conformance_open"}) as everything,
    ):
        await database.execute("insert into public.conformance_open values (1, 'a')")
        with publishing(target, "insert", "update"):
            await database.execute("delete from public.conformance_open")
            await database.execute("insert into public.conformance_open values (2, 'b')")
            await asyncio.sleep(QUIET)
        for heard in (anyone, everything):
            told = await heard.several(2)
            assert [(event["type"], event["record"]["id"]) for event in told] == [("INSERT", 1), ("INSERT", 2)]


@pytest.mark.usefixtures("deletes_are_told")
async def test_a_full_replica_identity_tells_old_rows_when_there_is_no_row_security(
    anonymous: AsyncClient, database: psycopg.AsyncConnection[Any]
) -> None:
    async with listening(anonymous, {"table": "conformance_open"}) as heard:
        await database.execute("insert into public.conformance_open values (1, 'a')")
        await database.execute("update public.conformance_open set body = 'b'")
        await database.execute("delete from public.conformance_open")
        inserted, updated, deleted = await heard.several(3)
    assert [event["type"] for event in (inserted, updated, deleted)] == ["INSERT", "UPDATE", "DELETE"]
    assert inserted["record"] == {"id": 1, "body": "a"}
    assert (updated["record"], updated["old_record"]) == ({"id": 1, "body": "b"}, {"id": 1, "body": "a"})
    assert deleted["old_record"] == {"id": 1, "body": "b"}


async def test_a_record_is_what_to_jsonb_makes_of_the_row(
    anonymous: AsyncClient, database: psycopg.AsyncConnection[Any]
) -> None:
    async with listening(anonymous, {"table": "conformance_notes", "event": "INSERT"}) as heard:
        row = await database.execute(
            """
            insert into public.conformance_notes (id, shared, body, amount, big, tags, written_at, day, meta, hidden)
            values (
                1, true, E'온돌 "quoted" \\\\ line\nend', 12.50, 9007199254740993, array['a,b', null, '{"c"}', ''],
                '2026-03-01 09:00:00.123456+09', '2026-03-01', '{"deep": [1, 2.5, {"x": null}], "text": "é"}', 'hidden'
            )
            returning (to_jsonb(conformance_notes) - 'hidden')::text
            """
        )
        expected = await row.fetchone()
        event = await heard.next()
    assert expected is not None
    assert event["record"] == json.loads(expected[0])
    assert event["errors"] is None
    types = {column["name"]: column["type"] for column in event["columns"]}
    assert "hidden" not in types
    assert (types["id"], types["tags"], types["written_at"], types["meta"]) == ("int8", "_text", "timestamptz", "jsonb")


async def test_the_service_role_sees_every_column(service: AsyncClient, database: psycopg.AsyncConnection[Any]) -> None:
    async with listening(service, {"table": "conformance_notes", "event": "INSERT"}) as heard:
        await database.execute("insert into public.conformance_notes (id, hidden) values (1, 'there')")
        assert (await heard.next())["record"]["hidden"] == "there"


async def test_select_limits_the_columns_and_keeps_the_key(
    anonymous: AsyncClient, database: psycopg.AsyncConnection[Any]
) -> None:
    async with listening(anonymous, {"table": "conformance_notes", "select": ["body"]}) as heard:
        await database.execute("insert into public.conformance_notes (id, shared, body) values (1, true, 'x')")
        event = await heard.next()
    assert event["record"] == {"id": 1, "body": "x"}
    assert [column["name"] for column in event["columns"]] == ["id", "body"]


@pytest.mark.parametrize(
    ("filter_", "expected"),
    [
        ("id=eq.2", [2]),
        ("id=neq.2", [1, 3, 4]),
        ("id=lt.2", [1]),
        ("id=lte.2", [1, 2]),
        ("id=gt.3", [4]),
        ("id=gte.3", [3, 4]),
        ("room=in.(attic,cellar)", [2, 3]),
        ('body=in.("a,b",c)', [2, 3]),
        ("room=like.%ll%", [1, 3]),
        ("room=ilike.ATT%", [2]),
        ("body=is.null", [1]),
        ("body=not.is.null", [2, 3, 4]),
        ("room=not.in.(attic,cellar)", [1, 4]),
        ("room=match.^[ac]", [2, 3]),
        ("body=isdistinct.c", [1, 2, 4]),
        ("amount=gt.9", [3, 4]),
        ("id=gte.2,room=eq.attic", [2]),
        ("written_at=lt.2026-01-02T00:00:00Z", [1]),
    ],
)
async def test_filters_are_evaluated_by_the_server(
    anonymous: AsyncClient, database: psycopg.AsyncConnection[Any], filter_: str, expected: list[int]
) -> None:
    async with listening(anonymous, {"table": "conformance_notes", "event": "INSERT", "filter": filter_}) as heard:
        await database.execute(
            """
            insert into public.conformance_notes (id, shared, room, body, amount, written_at)
            values
                (1, true, 'hall', null, 1, '2026-01-01T00:00:00Z'),
                (2, true, 'attic', 'a,b', 9, '2026-01-03T00:00:00Z'),
                (3, true, 'cellar', 'c', 10, null),
                (4, true, 'porch', 'd', 11, null)
            """
        )
        assert [event["record"]["id"] for event in await heard.several(len(expected))] == expected


async def test_filters_look_at_the_change_and_not_at_the_row_as_it_is_now(
    anonymous: AsyncClient, database: psycopg.AsyncConnection[Any]
) -> None:
    await database.execute("insert into public.conformance_notes (id, shared) values (1, true)")
    attic = {"table": "conformance_notes", "event": "UPDATE", "filter": "room=eq.attic"}
    async with listening(anonymous, attic) as heard:
        await database.execute("update public.conformance_notes set room = 'attic'")
        await database.execute("update public.conformance_notes set room = 'hall'")
        assert (await heard.next())["record"]["room"] == "attic"
        await heard.nothing()


async def test_several_subscriptions_of_one_channel_hear_their_own(
    anonymous: AsyncClient, database: psycopg.AsyncConnection[Any]
) -> None:
    channel, first, second, system = channel_of(anonymous, topic()), Heard(), Heard(), Heard()
    channel.on_postgres_changes("INSERT", first, table="conformance_notes", filter="id=eq.1")  # type: ignore[arg-type]
    channel.on_postgres_changes("*", second, table="conformance_open")  # type: ignore[arg-type]
    channel.on_system(system)
    async with joined(anonymous, channel):
        await system.next()
        await database.execute("insert into public.conformance_open values (5, 'x')")
        await database.execute("insert into public.conformance_notes (id, shared) values (2, true), (1, true)")
        assert (await first.next())["data"]["record"]["id"] == 1
        assert (await second.next())["data"]["record"]["id"] == 5
        await asyncio.gather(first.nothing(), second.nothing())


async def test_a_policy_that_raises_silences_nobody_else(
    anonymous: AsyncClient, member: AsyncClient, database: psycopg.AsyncConnection[Any]
) -> None:
    async with (
        listening(member, {"table": "conformance_touchy"}) as unlucky,
        listening(anonymous, {"table": "conformance_touchy"}) as lucky,
    ):
        await database.execute("insert into public.conformance_touchy values (1, 'a'), (2, 'b')")
        assert [event["record"]["id"] for event in await lucky.several(2)] == [1, 2]
        await unlucky.nothing()
        await database.execute("insert into public.conformance_touchy values (3, 'c')")
        assert (await lucky.next())["record"]["id"] == 3


async def test_a_change_over_one_mebibyte_comes_without_its_large_values(
    anonymous: AsyncClient, database: psycopg.AsyncConnection[Any]
) -> None:
    async with listening(anonymous, {"table": "conformance_notes"}) as heard:
        await database.execute(
            "insert into public.conformance_notes (id, shared, body) values (1, true, repeat('x', 1100000))"
        )
        event = await heard.next()
    assert event["errors"] == ["Error 413: Payload Too Large"]
    assert event["record"]["id"] == 1
    assert "body" not in event["record"]


@pytest.mark.parametrize(
    "wanted",
    [
        {"table": "conformance_unpublished"},
        {"table": "conformance_notes", "filter": "nowhere=eq.1"},
        {"table": "conformance_notes", "filter": "hidden=eq.1"},
        {"table": "conformance_notes", "filter": "id=eq.one"},
        {"table": "conformance_notes", "filter": "room=match.("},
        {"table": "conformance_notes", "select": ["hidden"]},
    ],
    ids=["unpublished table", "no column", "hidden column", "no number", "no expression", "hidden selected"],
)
async def test_what_can_never_match_is_an_error(anonymous: AsyncClient, wanted: dict[str, Any]) -> None:
    channel = channel_of(anonymous, topic())
    channel.on_postgres_changes("*", lambda _: None, **wanted)  # type: ignore[arg-type]
    errors = Heard()
    await channel.subscribe(
        lambda state, error: errors(str(error)) if state == RealtimeSubscribeStates.CHANNEL_ERROR else None
    )
    try:
        assert "subscribe" in await errors.next()
    finally:
        await anonymous.remove_all_channels()


async def test_broadcast_reaches_the_others_and_not_its_sender(anonymous: AsyncClient, service: AsyncClient) -> None:
    name, sent, received = topic(), Heard(), Heard()
    sender = channel_of(anonymous, name).on_broadcast("note", sent)
    receiver = channel_of(service, name).on_broadcast("note", received)
    async with joined(anonymous, sender), joined(service, receiver):
        await sender.send_broadcast("note", {"text": "안녕", "n": 1})
        message = await received.next()
        assert (message["event"], message["payload"]) == ("note", {"text": "안녕", "n": 1})
        await sent.nothing()


async def test_a_broadcast_can_come_back_and_be_acknowledged(anonymous: AsyncClient) -> None:
    heard, acknowledged = Heard(), Heard()
    channel = channel_of(anonymous, topic(), broadcast={"self": True, "ack": True}).on_broadcast("*", heard)
    async with joined(anonymous, channel):
        push = await channel.push("broadcast", {"type": "broadcast", "event": "note", "payload": {"n": 2}})
        push.receive(RealtimeAcknowledgementStatus.Ok, acknowledged)
        assert (await heard.next())["payload"] == {"n": 2}
        await acknowledged.next()


async def test_presence_tells_who_comes_changes_and_goes(anonymous: AsyncClient, service: AsyncClient) -> None:
    name, joins, leaves = topic(), Heard(), Heard()
    watcher = channel_of(anonymous, name, presence={"key": "watcher", "enabled": True})
    watcher.on_presence_join(lambda key, _, new: joins((key, new)))
    watcher.on_presence_leave(lambda key, _, left: leaves((key, left)))
    visitor = channel_of(service, name, presence={"key": "visitor", "enabled": True})
    async with joined(anonymous, watcher):
        async with joined(service, visitor):
            await visitor.track({"mood": "calm"})
            key, new = await joins.next()
            assert (key, new[0]["mood"]) == ("visitor", "calm")
            await visitor.track({"mood": "happy"})
            assert (await joins.next())[1][0]["mood"] == "happy"
            assert (await leaves.next())[1][0]["mood"] == "calm"
            assert [dict(meta)["mood"] for meta in watcher.presence_state()["visitor"]] == ["happy"]
        assert (await leaves.next())[0] == "visitor"
        assert watcher.presence_state() == {}


async def test_a_late_comer_gets_the_presence_state(anonymous: AsyncClient, service: AsyncClient) -> None:
    name, synced = topic(), asyncio.Event()
    early = channel_of(anonymous, name, presence={"key": "early", "enabled": True})
    late = channel_of(service, name, presence={"key": "late", "enabled": True})
    late.on_presence_sync(lambda: synced.set() if "early" in late.presence_state() else None)
    async with joined(anonymous, early):
        await early.track({"since": 1})
        async with joined(service, late):
            await asyncio.wait_for(synced.wait(), WITHIN)
            await early.untrack()


async def test_a_private_channel_needs_a_policy(anonymous: AsyncClient, member: AsyncClient) -> None:
    name = topic()
    assert "Unauthorized" in await refused(anonymous, channel_of(anonymous, name, private=True))
    async with joined(member, channel_of(member, name, private=True)):
        pass
    assert "Unauthorized" in await refused(member, channel_of(member, "conformance:nowhere", private=True))


async def test_a_private_topic_of_ones_own(
    member: AsyncClient, stranger: AsyncClient, people: tuple[Person, Person]
) -> None:
    own = f"conformance:user:{people[0].id}"
    assert "Unauthorized" in await refused(stranger, channel_of(stranger, own, private=True))
    async with joined(member, channel_of(member, own, private=True)):
        pass


async def test_writing_to_a_private_channel_needs_a_policy_of_its_own(
    member: AsyncClient, stranger: AsyncClient
) -> None:
    name, heard = topic(), Heard()
    async with (
        joined(member, channel_of(member, name, private=True)) as sender,
        joined(stranger, channel_of(stranger, name, private=True).on_broadcast("*", heard)),
    ):
        await sender.send_broadcast("note", {"n": 1})
        assert (await heard.next())["payload"] == {"n": 1}
    async with (
        joined(member, channel_of(member, "conformance:news", private=True)) as sender,
        joined(stranger, channel_of(stranger, "conformance:news", private=True).on_broadcast("*", heard)),
    ):
        await sender.send_broadcast("note", {"n": 2})
        await heard.nothing()


@pytest.mark.parametrize("private", [True, False])
async def test_the_database_broadcasts_with_realtime_send(
    member: AsyncClient, stranger: AsyncClient, database: psycopg.AsyncConnection[Any], private: bool
) -> None:
    name, told, other = topic(), Heard(), Heard()
    same = channel_of(member, name, private=private).on_broadcast("trend", told)
    opposite = channel_of(stranger, name, private=not private).on_broadcast("trend", other)
    async with joined(member, same), joined(stranger, opposite):
        await database.execute(
            "select realtime.send(%s::jsonb, 'trend', %s, %s)", ('{"keyword": "먹방", "score": 0.91}', name, private)
        )
        message = await told.next()
        assert (message["payload"]["keyword"], message["payload"]["score"]) == ("먹방", 0.91)
        assert message["payload"]["id"]
        await other.nothing()


async def test_a_rolled_back_broadcast_is_never_sent(
    anonymous: AsyncClient, database: psycopg.AsyncConnection[Any]
) -> None:
    name, heard = topic(), Heard()
    async with joined(anonymous, channel_of(anonymous, name).on_broadcast("*", heard)):
        async with database.transaction(force_rollback=True):
            await database.execute("select realtime.send('{}', 'never', %s, false)", (name,))
        await database.execute("select realtime.send('{}', 'kept', %s, false)", (name,))
        assert (await heard.next())["event"] == "kept"


async def test_the_database_broadcasts_row_changes(member: AsyncClient, database: psycopg.AsyncConnection[Any]) -> None:
    name, heard = topic(), Heard()
    async with joined(member, channel_of(member, name, private=True).on_broadcast("*", heard)):
        await database.execute(
            "do $$ declare new public.conformance_open; begin new.id := 4; new.body := 'x';"
            f" perform realtime.broadcast_changes('{name}', 'INSERT', 'INSERT',"
            " 'conformance_open', 'public', new, null);"
            " end $$"
        )
        payload = (await heard.next())["payload"]
    assert (payload["operation"], payload["table"], payload["record"]) == (
        "INSERT",
        "conformance_open",
        {"id": 4, "body": "x"},
    )


async def test_a_wrong_call_of_broadcast_changes_is_an_error_and_a_wrong_send_is_not(
    database: psycopg.AsyncConnection[Any],
) -> None:
    with pytest.raises(psycopg.errors.RaiseException, match="Failed to process the row"):
        await database.execute(
            "select realtime.broadcast_changes('t', 'e', 'TRUNCATE', 'a', 'b', null::record, null::record)"
        )
    warnings: list[str] = []
    database.add_notice_handler(lambda notice: warnings.append(str(notice.message_primary)))
    await database.execute("select realtime.send('{}', 'event', null, false)")
    assert "SendingBroadcastMessage" in warnings[0]


async def test_http_broadcasts(anonymous: AsyncClient, member: AsyncClient, stranger: AsyncClient) -> None:
    name, heard = topic(), Heard()
    async with joined(stranger, channel_of(stranger, name).on_broadcast("*", heard)):
        await channel_of(anonymous, name).http_send("note", {"n": 1})
        message = await heard.next()
        assert (message["event"], message["payload"]) == ("note", {"n": 1})
    async with joined(stranger, channel_of(stranger, name, private=True).on_broadcast("*", heard)):
        await channel_of(member, name, private=True).http_send("private note", {"n": 2})
        assert (await heard.next())["payload"] == {"n": 2}
        await say_privately(anonymous, name)
        await heard.nothing()


async def say_privately(client: AsyncClient, name: str) -> None:
    """Hosted servers answer an unauthorised sender with 202 or with an error: what counts is who hears it."""
    try:
        await channel_of(client, f"{name}", private=True).http_send("note", {"n": 3})
    except RealtimeHTTPError as error:
        assert error.status in (401, 403)  # noqa: PT017


async def test_private_messages_are_replayed(member: AsyncClient, database: psycopg.AsyncConnection[Any]) -> None:
    name, heard = topic(), Heard()
    for number in range(3):
        await database.execute(
            "select realtime.send(jsonb_build_object('n', %s::integer), 'note', %s, true)", (number, name)
        )
    replay = {"self": False, "ack": False, "replay": {"since": 0, "limit": 2}}
    async with joined(member, channel_of(member, name, private=True, broadcast=replay).on_broadcast("*", heard)):
        messages = await heard.several(2)
    assert [message["payload"]["n"] for message in messages] == [1, 2]
    assert all(message["meta"]["replayed"] for message in messages)


async def test_a_token_that_may_no_longer_read_ends_the_channel(
    member: AsyncClient, stranger: AsyncClient, people: tuple[Person, Person]
) -> None:
    session = await stranger.auth.get_session()
    assert session is not None
    channel, ended = channel_of(member, f"conformance:user:{people[0].id}", private=True), Heard()
    await channel.subscribe(lambda state, _: ended(state))
    try:
        assert await ended.next() == RealtimeSubscribeStates.SUBSCRIBED
        await member.realtime.set_auth(session.access_token)
        assert await ended.next() in (RealtimeSubscribeStates.CHANNEL_ERROR, RealtimeSubscribeStates.CLOSED)
    finally:
        await member.remove_all_channels()


async def test_leaving_and_joining_again(anonymous: AsyncClient, database: psycopg.AsyncConnection[Any]) -> None:
    name = topic()
    for number in (1, 2):
        async with listening(anonymous, {"table": "conformance_open"}, name=name) as heard:
            await database.execute("insert into public.conformance_open values (%s)", (number,))
            assert (await heard.next())["record"]["id"] == number
