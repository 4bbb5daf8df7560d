"""Functions called through the Data API, and whom the database takes the caller for."""

from __future__ import annotations

import time
from typing import Any

import httpx
import psycopg
import pytest
from postgrest import CountMethod
from postgrest.exceptions import APIError
from supabase import AsyncClient

from .conftest import Person, Target, found

CHANNELS = "conformance_channels"


@pytest.mark.parametrize("payload", [{"a": [1, {"b": None}]}, [1, 2], "text", "42", 42, True])
async def test_json_arguments_arrive_as_they_are(anonymous: AsyncClient, payload: Any) -> None:
    echo = await found(anonymous.rpc("conformance_echo", {"payload": payload}))
    assert echo["payload"] == payload
    assert echo["label"] == "unnamed"
    assert echo["numbers"] == []


@pytest.mark.parametrize("body", ['{"a": 1.50, "b": [1]}', '[1, {"a": 12345678901234567890.10}]'])
async def test_a_lone_json_argument_is_the_whole_body(rest: httpx.AsyncClient, body: str) -> None:
    answer = await rest.post("/rpc/conformance_whole", content=body, headers={"content-type": "application/json"})
    assert answer.text.replace(" ", "") == body.replace(" ", "")


async def test_array_and_composite_arguments(anonymous: AsyncClient) -> None:
    arguments = {"payload": {}, "numbers": [3, 1], "place": {"name": "hall", "floor": -1}, "label": "007"}
    echo = await found(anonymous.rpc("conformance_echo", arguments))
    assert {name: echo[name] for name in arguments} == arguments


async def test_vector_and_composite_list_arguments(service: AsyncClient) -> None:
    for target in ([1, 2, 3], "[1,2,3]"):
        arguments = {"target": target, "places": [{"name": "a", "floor": 1}]}
        assert await found(service.rpc("conformance_nearest", arguments)) == [
            {"id": 1, "distance": 0, "places_given": 1}
        ]


async def test_scalar_calls_by_post_and_get(anonymous: AsyncClient) -> None:
    assert await found(anonymous.rpc("conformance_add", {"a": 1, "b": 2})) == 3
    assert await found(anonymous.rpc("conformance_add", {"a": 1})) == 11
    assert await found(anonymous.rpc("conformance_add", {"a": 5}, get=True)) == 15


async def test_rows_of_a_call_can_be_filtered_ordered_and_embedded(anonymous: AsyncClient) -> None:
    call = anonymous.rpc("conformance_popular", {"at_least": 100}, count=CountMethod.exact)
    answer = await call.select("id", f"{CHANNELS}(title)").lt("views", 1000).order("id", desc=True).limit(2).execute()
    assert answer.data == [{"id": 3, CHANNELS: {"title": "Maru"}}, {"id": 2, CHANNELS: {"title": "Ondol"}}]
    assert answer.count == 3


async def test_a_call_without_a_result_answers_204(rest: httpx.AsyncClient) -> None:
    answer = await rest.post("/rpc/conformance_touch", json={})
    assert (answer.status_code, answer.content) == (204, b"")


async def test_the_database_sees_who_asks(
    anonymous: AsyncClient, service: AsyncClient, member: AsyncClient, people: tuple[Person, Person]
) -> None:
    seen = [await found(client.rpc("conformance_identity")) for client in (anonymous, service, member)]
    assert [(one["user"], one["role"], one["claim"]) for one in seen] == [
        (role, role, role) for role in ("anon", "service_role", "authenticated")
    ]
    assert [one["uid"] for one in seen] == [None, None, people[0].id]
    assert {one["session"] for one in seen} == {"authenticator"}
    assert {one["method"] for one in seen} == {"POST"}


async def test_row_level_security(
    anonymous: AsyncClient, service: AsyncClient, member: AsyncClient, stranger: AsyncClient
) -> None:
    mine = (await found(member.table("conformance_memos").insert({"body": "mine"})))[0]
    shared = (await found(member.table("conformance_memos").insert({"body": "ours", "is_shared": True})))[0]

    async def visible(client: AsyncClient) -> set[str]:
        rows = await found(client.table("conformance_memos").select("id").in_("id", [mine["id"], shared["id"]]))
        return {row["id"] for row in rows}

    assert await visible(member) == {mine["id"], shared["id"]}
    assert await visible(service) == {mine["id"], shared["id"]}
    assert await visible(stranger) == {shared["id"]}
    assert await visible(anonymous) == {shared["id"]}
    changed = await stranger.table("conformance_memos").update({"body": "theirs"}).eq("id", mine["id"]).execute()
    assert changed.data == []


async def test_what_rights_and_policies_refuse(
    public_rest: httpx.AsyncClient, member: AsyncClient, stranger: AsyncClient, people: tuple[Person, Person]
) -> None:
    answer = await public_rest.post("/conformance_memos", json={"body": "nobody's"})
    assert answer.status_code == 401
    assert answer.json() == {
        "code": "42501",
        "message": "permission denied for table conformance_memos",
        "details": None,
        "hint": answer.json()["hint"],
    }
    assert (await public_rest.post("/rpc/conformance_touch", json={})).status_code == 401
    with pytest.raises(APIError) as refused:
        await stranger.table("conformance_memos").insert({"body": "not mine", "owner": people[0].id}).execute()
    assert refused.value.code == "42501"
    with pytest.raises(APIError) as denied:
        await member.table("conformance_kinds").select("id").execute()
    assert denied.value.code == "42501"


async def test_a_signed_in_user_is_refused_with_403(target: Target, member: AsyncClient) -> None:
    session = await member.auth.get_session()
    assert session is not None
    headers = {"apikey": target.publishable_key, "authorization": f"Bearer {session.access_token}"}
    async with httpx.AsyncClient(base_url=f"{target.url}/rest/v1", headers=headers) as client:
        assert (await client.get("/conformance_kinds")).status_code == 403


async def test_each_role_has_its_statement_timeout(public_rest: httpx.AsyncClient, target: Target) -> None:
    with psycopg.connect(target.database_url) as connection:
        found = connection.execute(
            "select substr(entry, 19) from pg_roles, unnest(rolconfig) as entry"
            " where rolname = 'anon' and entry like 'statement_timeout=%'"
        ).fetchone()
    assert found is not None
    assert found[0] == "3s"
    started = time.monotonic()
    answer = await public_rest.post("/rpc/conformance_sleep", json={"seconds": 20})
    assert time.monotonic() - started < 6
    assert answer.status_code == 500
    assert answer.json()["code"] == "57014"
