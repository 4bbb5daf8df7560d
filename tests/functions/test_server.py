"""The handler as its senders see it, over ASGI: status, JSON and effects."""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest

from functions import requests
from functions.receipts import Refused, Unavailable
from functions.server import create_app
from functions.settings import Settings
from functions.trend_events import MAX_BODY

from .documented import CONFORMS
from .signing import NOW, OTHER_SECRET, SECRET, signed_headers, trend_body, update_body

PATH = "/webhooks/notify-trend"
UPDATE_PATH = "/webhooks/trend-update"
SETTINGS = Settings(
    supabase_url="https://abc.supabase.co",
    supabase_secret_key="k",
    webhook_secrets=(SECRET,),
    update_secrets=(OTHER_SECRET,),
)


class Inbox:
    """Stands for the database: keeps each webhook id once, as receive_trend_event does."""

    def __init__(self) -> None:
        self.kept: dict[str, dict[str, Any]] = {}
        self.error: Exception | None = None

    async def __call__(self, webhook_id: str, *, event: dict[str, Any]) -> bool:
        await asyncio.sleep(0)
        if self.error:
            raise self.error
        if webhook_id in self.kept:
            return True
        self.kept[webhook_id] = event
        return False


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture
async def client(inbox: Inbox) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(SETTINGS, receive=inbox, clock=lambda: NOW)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://handler", event_hooks=CONFORMS) as client:
        yield client


async def send(client: httpx.AsyncClient, body: bytes, **headers: str) -> httpx.Response:
    return await client.post(PATH, content=body, headers=signed_headers(body) | headers)


async def test_a_signed_event_is_recorded_as_it_was_sent(client: httpx.AsyncClient, inbox: Inbox) -> None:
    answer = await send(client, trend_body())
    assert (answer.status_code, answer.json()) == (200, {"duplicate": False})
    assert inbox.kept["msg_1"]["data"]["keyword"] == "두바이쫀득쿠키"


async def test_the_same_id_many_times_at_once_has_one_effect(client: httpx.AsyncClient, inbox: Inbox) -> None:
    answers = await asyncio.gather(*[send(client, trend_body()) for _ in range(50)])
    assert [answer.status_code for answer in answers] == [200] * 50
    assert sum(answer.json() == {"duplicate": False} for answer in answers) == 1
    assert len(inbox.kept) == 1


async def test_a_type_of_tomorrow_is_ignored_with_2xx(client: httpx.AsyncClient, inbox: Inbox) -> None:
    answer = await send(client, b'{"type": "video.archived", "timestamp": "2026-09-21T13:33:20Z", "data": {}}')
    assert (answer.status_code, answer.json()) == (200, {"ignored": True})
    assert inbox.kept == {}


# trend-update, and the test event


async def update(client: httpx.AsyncClient, body: bytes, *, secret: str = OTHER_SECRET) -> httpx.Response:
    return await client.post(UPDATE_PATH, content=body, headers=signed_headers(body, secret=secret))


async def test_an_update_is_recorded_once_by_its_own_secret(client: httpx.AsyncClient, inbox: Inbox) -> None:
    """S-263: the handler of trend.updated believes its own endpoint's secret and no other."""
    assert (await update(client, update_body(), secret=SECRET)).status_code == 401
    assert inbox.kept == {}
    answers = [(await update(client, update_body())).json() for _ in range(2)]
    assert answers == [{"duplicate": False}, {"duplicate": True}]
    assert inbox.kept["msg_1"]["data"]["change"] == "updated"


@pytest.mark.parametrize("changes", [{"id": "x"}, {"id": None}, {"detected_at": "soon"}, {"detected_at": "2026-09-21"}])
async def test_an_update_says_which_trend_it_is_and_of_when(
    client: httpx.AsyncClient, inbox: Inbox, changes: dict[str, Any]
) -> None:
    answer = await update(client, update_body(**changes))
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed")
    assert answer.json()["message"].startswith(f"data.{next(iter(changes))}: ")
    assert inbox.kept == {}


async def test_each_handler_leaves_the_others_events_alone(client: httpx.AsyncClient, inbox: Inbox) -> None:
    assert (await send(client, update_body())).json() == {"ignored": True}
    assert (await update(client, trend_body())).json() == {"ignored": True}
    assert inbox.kept == {}


@pytest.mark.parametrize(("path", "secret"), [(PATH, SECRET), (UPDATE_PATH, OTHER_SECRET)])
async def test_a_test_event_is_answered_and_does_nothing(
    client: httpx.AsyncClient, inbox: Inbox, path: str, secret: str
) -> None:
    body = b'{"type": "webhook.test", "timestamp": "2026-09-21T13:33:20Z", "data": {"message": "hello"}}'
    answer = await client.post(path, content=body, headers=signed_headers(body, secret=secret))
    assert (answer.status_code, answer.json()) == (200, {"test": True})
    assert inbox.kept == {}
    forged = await client.post(path, content=body, headers=signed_headers(body, secret="whsec_" + "A" * 44))
    assert forged.status_code == 401


@pytest.mark.parametrize(
    ("status", "code", "build"),
    [
        (401, "not_genuine", lambda body: (body, {})),
        (401, "not_genuine", lambda body: (body + b" ", signed_headers(body))),
        (400, "malformed", lambda body: (b"{}", signed_headers(b"{}"))),
        (400, "malformed", lambda body: (body, signed_headers(body) | {"content-type": "text/plain"})),
        (413, "too_large", lambda body: (b"x" * (MAX_BODY + 1), {})),
    ],
)
async def test_refusals_share_one_shape(
    client: httpx.AsyncClient, inbox: Inbox, status: int, code: str, build: Callable[[bytes], Any]
) -> None:
    """D45: what is unsigned, changed or not an event of ours has no effect."""
    body, headers = build(trend_body())
    answer = await client.post(PATH, content=body, headers=headers)
    assert answer.status_code == status
    assert answer.json()["code"] == code
    assert_problem(answer)
    assert inbox.kept == {}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", PATH, 405),
        ("PUT", PATH, 405),
        ("DELETE", PATH, 405),
        ("OPTIONS", PATH, 405),
        ("POST", "/health", 405),
        ("GET", "/", 404),
        ("POST", "/webhooks/", 404),
        ("POST", PATH + "/", 404),  # not a redirect: senders do not follow one
        ("POST", "/webhooks/%00", 404),
    ],
)
async def test_other_methods_and_paths(client: httpx.AsyncClient, method: str, path: str, status: int) -> None:
    answer = await client.request(method, path)
    assert answer.status_code == status
    assert_problem(answer)
    assert ("allow" in answer.headers) == (status == 405)


async def test_health(client: httpx.AsyncClient) -> None:
    answer = await client.get("/health")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


async def test_a_database_that_is_away_means_try_again(client: httpx.AsyncClient, inbox: Inbox) -> None:
    inbox.error = Unavailable("The database did not answer: ConnectError.")
    answer = await send(client, trend_body())
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert int(answer.headers["retry-after"]) > 0
    inbox.error = None
    assert (await send(client, trend_body())).json() == {"duplicate": False}  # nothing was lost


async def test_a_refusal_of_the_database_is_400_and_keeps_its_words_in_the_log(
    client: httpx.AsyncClient, inbox: Inbox, caplog: pytest.LogCaptureFixture
) -> None:
    inbox.error = Refused("The Data API answered 400 22023: inner detail")
    answer = await send(client, trend_body())
    assert (answer.status_code, answer.json()["code"]) == (400, "refused")
    assert "inner detail" not in answer.text
    assert "msg_1 refused: The Data API answered 400 22023: inner detail" in caplog.text


async def test_a_mistake_of_ours_is_500_without_details(inbox: Inbox) -> None:
    inbox.error = RuntimeError("inner detail")
    app = create_app(SETTINGS, receive=inbox, clock=lambda: NOW)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://handler", event_hooks=CONFORMS) as client:
        answer = await send(client, trend_body())
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert "inner detail" not in answer.text


# Reading the body


async def test_a_body_without_length_is_refused_before_it_is_all_read(client: httpx.AsyncClient) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 1
            yield b"x" * 1000

    answer = await client.post(PATH, content=endless())
    assert answer.status_code == 413
    assert sent * 1000 <= MAX_BODY + 1000


async def test_an_announced_length_is_refused_before_anything_is_read() -> None:
    async def receive() -> dict[str, Any]:
        raise AssertionError("nothing may be read")

    answer = await call(receive, headers=[(b"content-length", str(MAX_BODY + 1).encode())])
    assert answer == 413


@pytest.mark.parametrize("length", [b"x", b"-1", b"9" * 5000, "²".encode("latin-1")])
async def test_a_length_that_is_no_number_is_left_to_the_stream(length: bytes) -> None:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"{}", "more_body": False}

    assert await call(receive, headers=[(b"content-length", length)]) == 401


async def test_a_sender_that_hangs_up_is_no_accident() -> None:
    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    assert await call(receive) == 400


async def test_a_sender_that_dawdles_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "BODY_TIMEOUT", 0.05)

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(0.02)
        return {"type": "http.request", "body": b"x", "more_body": True}

    assert await call(receive) == 408


async def call(receive: Any, *, headers: list[tuple[bytes, bytes]] | None = None) -> int:
    """Send one POST over bare ASGI; return the status."""
    statuses: list[int] = []

    async def note(message: Any) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    scope = {"type": "http", "method": "POST", "path": PATH, "query_string": b"", "headers": headers or []}
    await create_app(SETTINGS, receive=Inbox(), clock=lambda: NOW)(scope, receive, note)
    return statuses[0]


# Fuzz: half of the requests are signed, because an unsigned one never reaches the parser.


@pytest.mark.parametrize("seed", range(4))
async def test_four_thousand_strange_requests_never_break_it(
    client: httpx.AsyncClient, inbox: Inbox, seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311 -- strange, not secret
    seen: dict[int, int] = {}
    for number in range(1000):
        body = strange_body(chance)
        headers: list[tuple[bytes, bytes]] = []
        if number % 2:
            headers = [(k.encode(), v.encode()) for k, v in signed_headers(body, webhook_id=f"msg_{number}").items()]
        headers += strange_headers(chance)
        path = PATH if chance.random() < 0.95 else "/x" + "".join(chance.choices("/%.a\\ż?#", k=9))
        method = "POST" if chance.random() < 0.95 else chance.choice(["GET", "PUT", "HEAD", "PATCH", "TRACE", "BREW"])
        answer = await client.request(method, path, content=body, headers=headers)
        seen[answer.status_code] = seen.get(answer.status_code, 0) + 1
        if answer.status_code >= 400 and method != "HEAD":
            assert_problem(answer)
    assert not [status for status in seen if status >= 500], seen
    # The signed half must get past the signature, or this test proves nothing.
    assert seen[200] > 20
    assert seen[400] > 20
    assert seen[401] > 100


PIECES: list[bytes] = [
    b'"trend.detected"', b'"type":', b'"timestamp":', b'"2026-09-21T13:33:20Z"', b'"data":', b'"keyword":', b"{", b"}",
    b"[", b"]", b",", b":", b"null", b"true", b"1e999", b"-0", b"9" * 400, b'"\\ud800"', b'"\\u0000"', b"\x00", b"\xff",
    "\"두바이쫀득쿠키\"".encode(), "\"\U0001f36a\"".encode(), b'"', b"\\", b" ",
]  # fmt: skip


def strange_body(chance: random.Random) -> bytes:
    kind = chance.random()
    if kind < 0.35:  # a good event with a few strange values
        strange: list[Any] = [None, "", "x" * 300, -1, 2, 1e308, [], {}, [[[]]], True, "\x00", "\U0010ffff", 10**400]
        fields = ["keyword", "region_code", "trend_score", "z_score", "growth_rate", "extra"]
        return trend_body(**{chance.choice(fields): chance.choice(strange) for _ in range(chance.randrange(3))})
    if kind < 0.6:  # a good event with bytes changed
        body = bytearray(trend_body())
        for _ in range(chance.randrange(1, 4)):
            body[chance.randrange(len(body))] = chance.randrange(256)
        return bytes(body)
    if kind < 0.9:
        return b"".join(chance.choices(PIECES, k=chance.randrange(40)))
    if kind < 0.95:
        return chance.choice([b"[", b'{"a":', b'[{"a":']) * chance.randrange(1, 6000)
    return chance.randbytes(chance.choice([0, 1, 100, MAX_BODY, MAX_BODY + 1]))


def strange_headers(chance: random.Random) -> list[tuple[bytes, bytes]]:
    """Now and then one more header; a repeated name shadows or follows the good one."""
    if chance.random() < 0.6:
        return []
    names = [b"webhook-id", b"webhook-timestamp", b"webhook-signature", b"content-type", b"content-encoding", b"expect"]
    values = [
        b"",
        b"v1,",
        b"v1",
        b"v1,\xff\xfe",
        b"gzip",
        b"NaN",
        b"1e5",
        b"0" * 5000,
        b"text/plain; charset=\xff",
        b",",
    ]
    return [(chance.choice(names), chance.choice(values))]


def assert_problem(answer: httpx.Response) -> None:
    told = answer.json()
    assert set(told) == {"code", "message", "hint"}
    assert all(isinstance(text, str) and text for text in told.values())
    assert answer.headers["content-type"] == "application/json"


# The application that the environment describes


def run_python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    quiet = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(
        [sys.executable, "-c", code], env=quiet | environment, capture_output=True, text=True, timeout=30, check=False
    )


def test_app_is_built_from_the_environment() -> None:
    done = run_python(
        "from functions.server import app; print([route.path for route in app.routes])",
        SUPABASE_URL="http://127.0.0.1:54321",
        SUPABASE_SECRET_KEY="sb_secret_x",
        TREND_WEBHOOK_SECRET=SECRET,
    )
    assert (done.stdout, done.stderr) == (
        "['/webhooks/notify-trend', '/webhooks/trend-update', '/health', '/openapi.json']\n",
        "",
    )


def test_a_missing_setting_ends_it_with_one_sentence() -> None:
    done = run_python("from functions.server import app")
    assert done.returncode == 1
    assert done.stderr.startswith("The webhook handler cannot start: SUPABASE_URL is not set.")
    assert done.stderr.count("\n") == 1


async def test_what_it_opened_is_closed_at_the_end() -> None:
    closed = []

    async def close() -> None:
        closed.append(True)

    app = create_app(SETTINGS, receive=Inbox(), close=close)
    async with app.router.lifespan_context(app):
        assert closed == []
    assert closed == [True]
