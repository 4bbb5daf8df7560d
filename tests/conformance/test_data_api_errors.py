"""What the Data API answers when it refuses, and how soon it sees a changed schema."""

from __future__ import annotations

import secrets
import time
from typing import Any

import httpx
import psycopg
import pytest
from postgrest.exceptions import APIError
from supabase import AsyncClient

from .conftest import Target, found

VIDEOS = "conformance_videos"


STATUSES = {
    "08000": 503, "0L000": 403, "0P000": 403, "0A000": 400, "21000": 500, "22023": 400, "22P02": 400, "23502": 400,
    "23503": 409, "23505": 409, "23514": 400, "25000": 500, "28000": 403, "2D000": 500, "38000": 500, "39000": 500,
    "3B000": 500, "40001": 500, "40P01": 500, "42501": 403, "42883": 404, "42P01": 404, "42P17": 500, "42703": 400,
    "53000": 503, "53400": 500, "54000": 500, "55000": 500, "57014": 500, "58000": 500, "F0000": 500, "HV000": 500,
    "P0001": 400, "P0002": 500, "XX000": 500, "PT402": 402, "PT418": 418, "ZZ123": 400,
}  # fmt: skip


@pytest.mark.parametrize(("state", "status"), STATUSES.items())
async def test_each_sqlstate_has_its_status(rest: httpx.AsyncClient, state: str, status: int) -> None:
    answer = await rest.post("/rpc/conformance_refuse", json={"state": state, "words": 'because "x"'})
    assert answer.status_code == status
    assert answer.json() == {"code": state, "message": 'because "x"', "details": "the detail", "hint": "the hint"}


async def test_42501_is_401_for_nobody(public_rest: httpx.AsyncClient) -> None:
    answer = await public_rest.post("/rpc/conformance_refuse", json={"state": "42501"})
    assert answer.status_code == 401


async def test_constraints_name_what_was_broken(service: AsyncClient) -> None:
    expected: dict[str, tuple[dict[str, Any], str | None]] = {
        "23505": ({"id": 1, "title": "x"}, "Key (id)=(1) already exists."),
        "23503": (
            {"id": 70, "title": "x", "channel_id": 99},
            'Key (channel_id)=(99) is not present in table "conformance_channels".',
        ),
        "23514": ({"id": 70, "title": "x", "views": -1}, None),
        "23502": ({"id": 70, "title": None}, None),
        "22P02": ({"id": 70, "title": "x", "views": "many"}, None),
    }
    for code, (row, details) in expected.items():
        with pytest.raises(APIError) as refused:
            await service.table(VIDEOS).insert(row).execute()
        assert refused.value.code == code
        if details:
            assert refused.value.details == details


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/conformance_nowhere", 404, "PGRST205"),
        ("GET", "/conformance_videos?select=nothing", 400, "42703"),
        ("GET", "/conformance_videos?nothing=eq.1", 400, "42703"),
        ("GET", "/conformance_videos?select=id,conformance_bulk(id)", 400, "PGRST200"),
        ("GET", "/conformance_videos?id=nonsense.1", 400, "PGRST100"),
        ("GET", "/conformance_videos?id=eq.word", 400, "22P02"),
        ("POST", "/rpc/conformance_nothing", 404, "PGRST202"),
        ("POST", "/rpc/conformance_add", 404, "PGRST202"),
        ("POST", "/conformance_channels", 400, "PGRST204"),
    ],
)
async def test_unknown_names_have_their_codes(
    rest: httpx.AsyncClient, method: str, path: str, status: int, code: str
) -> None:
    body = {"nothing": 1} if method == "POST" else None
    answer = await rest.request(method, path, json=body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert set(answer.json()) == {"code", "message", "details", "hint"}


async def test_malformed_json_is_the_clients_error(rest: httpx.AsyncClient) -> None:
    headers = {"content-type": "application/json"}
    for path in ("/conformance_channels", "/rpc/conformance_add"):
        answer = await rest.post(path, content='{"id": ', headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (400, "PGRST102")


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
async def test_a_change_without_a_filter_is_refused(rest: httpx.AsyncClient, method: str) -> None:
    answer = await rest.request(method, "/conformance_ragged", json={"label": "x"})
    assert (answer.status_code, answer.json()["code"]) == (400, "21000")


async def test_a_schema_that_is_not_exposed_stays_hidden(rest: httpx.AsyncClient) -> None:
    answer = await rest.get("/secrets", headers={"accept-profile": "conformance_hidden"})
    assert (answer.status_code, answer.json()["code"]) == (406, "PGRST106")
    assert (await rest.get("/secrets")).status_code == 404
    assert (await rest.get("/conformance_hidden.secrets")).status_code == 404


async def test_a_changed_schema_is_seen_soon(target: Target, service: AsyncClient) -> None:
    table = f"conformance_new_{secrets.token_hex(4)}"
    with psycopg.connect(target.database_url, autocommit=True) as connection:
        connection.execute(f"create table public.{table} (id integer primary key, first text)".encode())
        connection.execute(f"grant all on public.{table} to service_role".encode())
        connection.execute("notify pgrst, 'reload schema'")
        await _until(service, table, {"id": 1, "first": "a"})
        connection.execute(f"alter table public.{table} add column second jsonb".encode())
        connection.execute("notify pgrst, 'reload schema'")
        await _until(service, table, {"id": 2, "second": {"a": 1}})
        connection.execute(f"drop table public.{table}".encode())


async def _until(client: AsyncClient, table: str, row: dict[str, Any]) -> None:
    deadline = time.monotonic() + 10
    while True:
        try:
            written = await found(client.table(table).insert(row))
        except APIError as error:
            if error.code not in {"PGRST204", "PGRST205"} or time.monotonic() > deadline:
                raise
        else:
            assert written[0].items() >= row.items()
            return
