"""How often who may write: what the Data API answers to one request too many."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import psycopg
import pytest

from .conftest import Target

ALLOWED = 3
CALL = "/rpc/trending_now"


@pytest.fixture
def limited(target: Target) -> Iterator[psycopg.Connection[Any]]:
    """A project where anonymous callers have three writes a minute, and have made none."""
    with psycopg.connect(target.database_url, autocommit=True) as connection:
        usual = connection.execute("select per_minute from private.rate_limits where role_name = 'anon'").fetchone()
        assert usual is not None
        connection.execute("delete from private.counted_requests")
        connection.execute("update private.rate_limits set per_minute = %s where role_name = 'anon'", (ALLOWED,))
        yield connection
        connection.execute("update private.rate_limits set per_minute = %s where role_name = 'anon'", usual)
        connection.execute("delete from private.counted_requests")


async def test_one_write_too_many_is_429_until_the_minute_is_over(
    limited: psycopg.Connection[Any], public_rest: httpx.AsyncClient
) -> None:
    for _ in range(ALLOWED):
        assert (await public_rest.post(CALL, json={})).status_code == 200
    refused = await public_rest.post(CALL, json={})
    assert refused.status_code == 429
    seconds = int(refused.headers["Retry-After"])
    assert 1 <= seconds <= 60
    assert refused.json() == {
        "code": "PT429",
        "message": "Too many writes in a minute.",
        "details": f"{ALLOWED} a minute are allowed.",
        "hint": f"Try again in {seconds} seconds.",
    }
    # Being refused costs nothing, so whoever waits as told is let in.
    limited.execute(
        "update private.counted_requests set counted_at = counted_at - make_interval(secs => %s)", (seconds,)
    )
    assert (await public_rest.post(CALL, json={})).status_code == 200


async def test_reading_is_not_counted(limited: psycopg.Connection[Any], public_rest: httpx.AsyncClient) -> None:
    for _ in range(ALLOWED + 1):
        assert (await public_rest.get(CALL)).status_code == 200
        assert (await public_rest.get("/cached_channels?select=channel_id&limit=1")).status_code == 200
    assert limited.execute("select count(*) from private.counted_requests").fetchone() == (0,)


async def test_the_service_is_not_limited(limited: psycopg.Connection[Any], rest: httpx.AsyncClient) -> None:
    for _ in range(ALLOWED + 1):
        assert (await rest.post(CALL, json={})).status_code == 200


async def test_a_call_has_an_id_the_callers_own_if_it_is_one(public_rest: httpx.AsyncClient) -> None:
    assert len((await public_rest.post(CALL, json={})).headers["x-request-id"]) == 36
    own = await public_rest.post(CALL, json={}, headers={"x-request-id": "my-own.1"})
    assert own.headers["x-request-id"] == "my-own.1"
    forged = await public_rest.post(CALL, json={}, headers={"x-request-id": 'two "words"'})
    assert len(forged.headers["x-request-id"]) == 36
