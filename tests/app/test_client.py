from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

import httpx
import pytest
from postgrest import APIError

from app.client import Client
from app.config import Secret, Settings
from app.errors import (
    InvalidRequestError,
    NotAllowedError,
    RequestError,
    ServerError,
    TimedOutError,
    UnreachableError,
)

SETTINGS = Settings(url="http://stack.test", publishable_key=Secret("sb_publishable_x"), timeout_seconds=0.2)
Handler = Callable[[httpx.Request], httpx.Response]


def answering(handler: Handler) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.MockTransport(handler))


async def test_call_posts_named_arguments_with_the_key() -> None:
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={"answer": 42})

    async with answering(handler) as http, Client(SETTINGS, http=http) as client:
        assert await client.call("trending_now", {"region": "KR", "limit": 3}) == {"answer": 42}
    request = seen[0]
    assert (request.method, str(request.url)) == ("POST", "http://stack.test/rest/v1/rpc/trending_now")
    assert request.headers["apikey"] == "sb_publishable_x"
    assert json.loads(request.content) == {"region": "KR", "limit": 3}


async def test_another_key_may_be_used() -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=request.headers["apikey"])

    async with answering(handler) as http, Client(SETTINGS, key=Secret("sb_secret_y"), http=http) as client:
        assert await client.call("whoami", {}) == "sb_secret_y"


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (403, {"code": "42501", "message": "denied", "details": None, "hint": None}, NotAllowedError),
        (
            400,
            {"code": "PT400", "message": "no array", "details": "It is object.", "hint": "Send."},
            InvalidRequestError,
        ),
        (500, {"code": "XX000", "message": "bug", "details": None, "hint": None}, ServerError),
    ],
)
async def test_an_error_answer_keeps_everything(status: int, body: dict[str, str], kind: type[RequestError]) -> None:
    async with answering(lambda _: httpx.Response(status, json=body)) as http, Client(SETTINGS, http=http) as client:
        with pytest.raises(kind) as raised:
            await client.call("ingest_videos", {})
    error = raised.value
    assert type(error) is kind
    assert (error.status, error.code, error.message) == (status, body["code"], body["message"])
    assert (error.details, error.hint) == (body["details"], body["hint"])
    assert isinstance(error.__cause__, APIError)


async def test_a_proxys_page_is_an_error_with_its_status() -> None:
    page = httpx.Response(502, html="<h1>Bad gateway</h1>")
    async with answering(lambda _: page) as http, Client(SETTINGS, http=http) as client:
        with pytest.raises(ServerError) as raised:
            await client.call("trending_now", {})
    assert raised.value.status == 502
    assert raised.value.is_transient


async def test_the_status_of_an_earlier_call_is_not_kept() -> None:
    answers = iter([httpx.Response(200, json=[]), httpx.Response(409, json={"code": "23505", "message": "twice"})])
    async with answering(lambda _: next(answers)) as http, Client(SETTINGS, http=http) as client:
        await client.call("a", {})
        with pytest.raises(InvalidRequestError) as raised:
            await client.call("b", {})
    assert raised.value.status == 409


async def test_every_call_has_a_timeout() -> None:
    async def slow(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(30)
        return httpx.Response(200, json=[])

    async with (
        httpx.AsyncClient(transport=httpx.MockTransport(slow), timeout=60) as http,
        Client(SETTINGS, http=http) as client,
    ):
        with pytest.raises(TimedOutError, match=r"trending_now within 0\.2 s") as raised:
            await client.call("trending_now", {})
        with pytest.raises(TimedOutError):
            await client.request("GET", "/auth/v1/health")
    assert isinstance(raised.value.__cause__, TimeoutError)


async def test_no_connection_is_unreachable_and_names_the_address(unused_tcp_port: int) -> None:
    settings = Settings(url=f"http://127.0.0.1:{unused_tcp_port}", publishable_key=Secret("x"))
    async with Client(settings) as client:
        with pytest.raises(UnreachableError, match=settings.url) as raised:
            await client.call("trending_now", {})
    assert isinstance(raised.value.__cause__, httpx.ConnectError)


async def test_signing_in_gives_the_users_token_to_later_calls() -> None:
    user: dict[str, object] = {
        "id": "7b0e4a3e-5d5c-4c0f-8b59-5a3a1b2c3d4e",
        "aud": "authenticated",
        "created_at": "2026-01-01T00:00:00Z",
        "app_metadata": {},
        "user_metadata": {},
    }
    session = {"access_token": "header.payload.signature", "token_type": "bearer", "expires_in": 3600}
    seen: dict[str, str] = {}

    def handler(request: httpx.Request) -> httpx.Response:
        seen[request.url.path] = request.headers.get("authorization", "")
        if request.url.path == "/auth/v1/token":
            return httpx.Response(200, json={**session, "refresh_token": "r", "user": user})
        return httpx.Response(200, json=[])

    async with answering(handler) as http, Client(SETTINGS, http=http) as client:
        assert await client.access_token() is None
        await client.sign_in("a@example.com", password=Secret("long enough"))
        assert await client.access_token() == session["access_token"]
        await client.call("trending_now", {})
        await client.supabase.auth.sign_out({"scope": "local"})  # ends the refresh timer
    assert seen["/rest/v1/rpc/trending_now"] == f"Bearer {session['access_token']}"


async def test_a_refused_sign_in_is_ours() -> None:
    body = {"code": 400, "error_code": "invalid_credentials", "msg": "Invalid login credentials"}
    async with answering(lambda _: httpx.Response(400, json=body)) as http, Client(SETTINGS, http=http) as client:
        with pytest.raises(InvalidRequestError, match="Invalid login credentials") as raised:
            await client.sign_in("a@example.com", password=Secret("wrong"))
    assert raised.value.status == 400


async def test_a_client_outside_its_block_is_a_programming_error() -> None:
    with pytest.raises(RuntimeError, match="async with"):
        await Client(SETTINGS).call("trending_now", {})
