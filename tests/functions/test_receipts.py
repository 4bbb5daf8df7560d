"""What is asked of the Data API, and what each of its answers means for the sender."""

from __future__ import annotations

import asyncio
import json

import httpx
import pytest

from functions.receipts import Receipts, Refused, Unavailable

EVENT = {"type": "trend.detected", "data": {"keyword": "두바이쫀득쿠키"}}


def receipts(handler: object, *, timeout: float = 5.0) -> Receipts:
    transport = httpx.MockTransport(handler)  # type: ignore[arg-type]  # sync or async function
    return Receipts("https://abc.supabase.co", secret_key="sb_secret_x", transport=transport, timeout=timeout)


async def test_the_event_is_sent_as_it_was_signed_with_the_key_in_apikey_only() -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={"duplicate": False})

    assert await receipts(answer).receive("msg_1", event=EVENT) is False
    [request] = seen
    assert str(request.url) == "https://abc.supabase.co/rest/v1/rpc/receive_trend_event"
    assert json.loads(request.content) == {"webhook_id": "msg_1", "event": EVENT}
    assert request.headers["apikey"] == "sb_secret_x"
    assert "authorization" not in request.headers  # an sb_secret_ key is not a JWT


async def test_an_update_goes_to_its_own_function() -> None:
    seen: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.url.path)
        return httpx.Response(200, json={"duplicate": False, "notified": 3})

    assert await receipts(answer).receive("msg_1", event={"type": "trend.updated"}) is False
    assert seen == ["/rest/v1/rpc/receive_trend_update"]


async def test_a_repeated_id_is_told() -> None:
    assert await receipts(lambda request: httpx.Response(200, json={"duplicate": True})).receive("m", event=EVENT)


@pytest.mark.parametrize("status", [400, 413, 422])
async def test_the_database_may_refuse_the_content(status: int) -> None:
    problem = {"code": "22023", "message": "trend_score is not a score"}
    with pytest.raises(Refused, match="22023: trend_score is not a score"):
        await receipts(lambda request: httpx.Response(status, json=problem)).receive("m", event=EVENT)


@pytest.mark.parametrize("status", [301, 401, 403, 404, 408, 409, 429, 500, 502, 503, 504])
async def test_every_other_answer_is_worth_a_retry(status: int) -> None:
    with pytest.raises(Unavailable, match=str(status)):
        await receipts(lambda request: httpx.Response(status, text="<html>")).receive("m", event=EVENT)


@pytest.mark.parametrize("text", ["", "<html>", "null", "[]", "{}", '"duplicate"'])
async def test_an_answer_of_something_else_is_not_a_receipt(text: str) -> None:
    with pytest.raises(Unavailable, match="something else"):
        await receipts(lambda request: httpx.Response(200, text=text)).receive("m", event=EVENT)


@pytest.mark.parametrize("error", [httpx.ConnectError, httpx.ReadTimeout, httpx.RemoteProtocolError, httpx.PoolTimeout])
async def test_a_database_that_cannot_be_reached(error: type[httpx.HTTPError]) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        raise error("no")

    with pytest.raises(Unavailable, match=error.__name__):
        await receipts(answer).receive("m", event=EVENT)


async def test_a_database_that_never_answers_is_given_up() -> None:
    async def answer(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(60)
        return httpx.Response(200, json={"duplicate": False})

    with pytest.raises(Unavailable, match="TimeoutError"):
        await receipts(answer, timeout=0.05).receive("m", event=EVENT)


async def test_a_closed_port_is_unavailable() -> None:
    closed = Receipts("http://127.0.0.1:9", secret_key="sb_secret_x")
    with pytest.raises(Unavailable, match="ConnectError"):
        await closed.receive("m", event=EVENT)
    await closed.close()
