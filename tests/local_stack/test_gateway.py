"""Proves the gateway alone, a stand-in for the hosted API gateway: keys, tokens, passing on, and what fails how.

What a client sees of a whole Supabase is in tests/conformance.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import io
import json
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any
from uuid import uuid4

import aiohttp
import jwt
import psycopg
import pytest
from aiohttp import WSMsgType, web
from aiohttp.test_utils import TestClient, TestServer, unused_port

from scripts.local_stack.errors import StackError
from scripts.local_stack.gateway.admin_users import duration_seconds
from scripts.local_stack.gateway.answers import Refused
from scripts.local_stack.gateway.hook import TokenHook, judge
from scripts.local_stack.gateway.keys import KeyRing
from scripts.local_stack.gateway.proxy import without_parameter
from scripts.local_stack.gateway.server import SERVER_OPTIONS, Gateway
from scripts.local_stack.settings import REPOSITORY, Keys, Ports, Stack, legacy_key

SECRET = "a-token-secret-that-is-long-enough-for-hs256"
KEYS = Keys(
    jwt_secret=SECRET,
    publishable="sb_publishable_for-these-tests",
    secret="sb_secret_for-these-tests",
    anon=legacy_key("anon", SECRET),
    service_role=legacy_key("service_role", SECRET),
)
BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
Client = TestClient[web.Request, web.Application]


def token(**changes: Any) -> str:
    """A user's token with some claims changed; None takes a claim away."""
    claims = {"sub": str(uuid4()), "aud": "authenticated", "role": "authenticated", "exp": int(time.time()) + 3600}
    return jwt.encode({k: v for k, v in (claims | changes).items() if v is not None}, SECRET, algorithm="HS256")


def raw_token(header: bytes, payload: bytes, *, secret: str = SECRET) -> str:
    """A token of any bytes, correctly signed."""
    body = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in (header, payload))
    signature = hmac.new(secret.encode(), body, hashlib.sha256).digest()
    return (body + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()


class Parts:
    """Stand-ins for the parts behind the gateway, which tell what reached them."""

    def __init__(self) -> None:
        self.seen: list[dict[str, Any]] = []

    async def echo(self, request: web.Request) -> web.Response:
        body = await request.read()
        parsed = json.loads(body) if request.content_type == "application/json" and body else None
        self.seen.append({"headers": dict(request.headers), "path": request.raw_path, "json": parsed})
        answer = {"method": request.method, "path": request.raw_path, "sha256": hashlib.sha256(body).hexdigest()}
        return web.json_response(
            answer, headers={"Content-Range": "0-0/7", "Connection": "keep-alive, X-Hop", "X-Hop": "1"}
        )

    async def shortened(self, request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Length": "1000000"})
        await answer.prepare(request)
        await answer.write(b"x" * 1000)
        assert request.transport is not None
        request.transport.close()
        return answer

    async def session(self, _: web.Request) -> web.Response:
        return web.json_response({"access_token": token(session_id=str(uuid4())), "refresh_token": "r"})

    async def websocket(self, request: web.Request) -> web.WebSocketResponse:
        self.seen.append({"headers": dict(request.headers), "path": request.raw_path})
        server = web.WebSocketResponse()
        await server.prepare(request)
        async for message in server:
            if message.type is WSMsgType.TEXT and message.data == "close":
                await server.close(code=4001)
            elif message.type is WSMsgType.TEXT:
                await server.send_str(message.data)
            elif message.type is WSMsgType.BINARY:
                await server.send_bytes(message.data)
        return server

    def application(self) -> web.Application:
        app = web.Application(client_max_size=100_000_000)
        app.router.add_get("/rest/v1/shortened", self.shortened)
        app.router.add_post("/auth/v1/token", self.session)
        app.router.add_get("/realtime/v1/websocket", self.websocket)
        app.router.add_route("*", "/{path:.*}", self.echo)
        return app


@pytest.fixture
async def parts() -> AsyncIterator[tuple[Parts, int]]:
    served = Parts()
    server = TestServer(served.application())
    await server.start_server(**SERVER_OPTIONS)
    yield served, server.port or 0
    await server.close()


def described(tmp_path: Path, **ports: int) -> Stack:
    """A stack of which only the named ports serve something."""
    names = ("gateway", "postgres", "data_api", "realtime", "handler", "functions")
    all_ports = {name: ports.get(name) or unused_port() for name in names}
    return Stack(
        name="gateway-test", repository=REPOSITORY, state=tmp_path, cache=tmp_path, ports=Ports(**all_ports), keys=KEYS
    )


async def client_of(gateway: Gateway) -> Client:
    server = TestServer(gateway.application())
    await server.start_server(**SERVER_OPTIONS)
    return TestClient(server)


@pytest.fixture
async def gateway(parts: tuple[Parts, int], tmp_path: Path) -> AsyncIterator[Client]:
    """The gateway in front of stand-in parts; its Postgres does not run."""
    served = Gateway(described(tmp_path, data_api=parts[1], realtime=parts[1]), {})
    client = await client_of(served)
    yield client
    await client.close()
    await served.close()


async def status_of(client: Client, target: bytes, *, key: str) -> int:
    """The status of a GET whose target goes over the wire byte for byte: client libraries tidy URLs."""
    reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
    writer.write(b"GET " + target + b" HTTP/1.1\r\nHost: a\r\napikey: " + key.encode() + b"\r\n\r\n")
    status = int((await reader.readline()).split()[1])
    writer.close()
    await writer.wait_closed()
    return status


def forged(name: str) -> str:
    """One text of each kind that somebody may send in place of a user's token."""
    now = int(time.time())
    header = b'{"alg":"HS256","typ":"JWT"}'
    payload = json.dumps({"role": "service_role", "exp": now + 60}).encode()
    made: dict[str, Callable[[], str]] = {
        "alg none": lambda: raw_token(b'{"alg":"none"}', payload).rpartition(".")[0] + ".",
        "alg none with a signature": lambda: raw_token(b'{"alg":"none"}', payload),
        "alg HS512": lambda: jwt.encode({"role": "service_role"}, SECRET + SECRET, algorithm="HS512"),
        "wrong secret": lambda: raw_token(header, payload, secret="another"),
        "no secret": lambda: raw_token(header, payload, secret=""),
        "changed payload": lambda: token().replace(".", f".{base64.urlsafe_b64encode(b'{').decode().rstrip('=')}", 1),
        "expired": lambda: token(exp=now - 60),
        "issued in the future": lambda: token(iat=now + 600),
        "not yet valid": lambda: token(nbf=now + 600),
        "wrong audience": lambda: token(aud="somebody-else"),
        "wrong audience in a list": lambda: token(aud=["a", "b"]),
        "role of a superuser": lambda: token(role="supabase_admin"),
        "role that is no text": lambda: token(role={"name": "service_role"}),
        "role with an injection": lambda: token(role="anon; set role postgres"),
        "exp that is no number": lambda: raw_token(header, b'{"role":"anon","exp":"later"}'),
        "exp without end": lambda: raw_token(header, b'{"role":"anon","exp":Infinity}'),
        "sub that is a number": lambda: token(sub=1),
        "payload that is a list": lambda: raw_token(header, b"[]"),
        "payload that is no JSON": lambda: raw_token(header, b"\xff\x00"),
        "deep payload": lambda: raw_token(header, b'{"a":' + b"[" * 20_000),
        "deep header": lambda: raw_token(b"[" * 20_000, payload),
        "header that is a number": lambda: raw_token(b"1", payload),
        "two parts": lambda: "a.b",
        "four parts": lambda: "a.b.c.d",
        "empty parts": lambda: "..",
        "garbage": lambda: "%00%ff",
        "nothing": lambda: "",
    }
    return made[name]()


FORGED = {
    "alg none": "PGRST301",
    "alg none with a signature": "PGRST301",
    "alg HS512": "PGRST301",
    "wrong secret": "PGRST301",
    "no secret": "PGRST301",
    "changed payload": "PGRST301",
    "expired": "PGRST303",
    "issued in the future": "PGRST303",
    "not yet valid": "PGRST303",
    "wrong audience": "PGRST303",
    "wrong audience in a list": "PGRST303",
    "role of a superuser": "PGRST303",
    "role that is no text": "PGRST303",
    "role with an injection": "PGRST303",
    "exp that is no number": "PGRST301",
    "exp without end": "PGRST301",
    "sub that is a number": "PGRST301",
    "payload that is a list": "PGRST301",
    "payload that is no JSON": "PGRST301",
    "deep payload": "PGRST301",
    "deep header": "PGRST301",
    "header that is a number": "PGRST301",
    "two parts": "PGRST301",
    "four parts": "PGRST301",
    "empty parts": "PGRST301",
    "garbage": "PGRST301",
    "nothing": "PGRST301",
}


@pytest.mark.parametrize("name", FORGED)
async def test_a_forged_token_is_a_401_with_postgrests_code_and_reaches_no_part(
    name: str, gateway: Client, parts: tuple[Parts, int]
) -> None:
    headers = {"apikey": KEYS.publishable, "Authorization": f"Bearer {forged(name)}"}
    for path in ("/rest/v1/trending_keywords", "/realtime/v1/api/broadcast"):
        answer = await gateway.get(path, headers=headers)
        assert (answer.status, (await answer.json())["code"]) == (401, FORGED[name])
        assert answer.headers["WWW-Authenticate"].startswith("Bearer ")
    admin = await gateway.get("/auth/v1/admin/users", headers=headers)
    assert (admin.status, (await admin.json())["error_code"]) == (403, "bad_jwt")
    assert parts[0].seen == []


@pytest.mark.parametrize(
    ("key", "authorization", "role"),
    [
        (KEYS.publishable, None, "anon"),
        (KEYS.anon, None, "anon"),
        (KEYS.secret, None, "service_role"),
        (KEYS.service_role, None, "service_role"),
        (KEYS.publishable, f"Bearer {KEYS.publishable}", "anon"),
        (KEYS.secret, f"Bearer {KEYS.secret}", "service_role"),
        (KEYS.anon, f"Bearer {KEYS.anon}", "anon"),
        (KEYS.publishable, f"Bearer {KEYS.secret}", "anon"),  # only the apikey header is trusted with a key
        (KEYS.publishable, f"Bearer {KEYS.service_role}", "service_role"),  # a JWT in Authorization decides
        (KEYS.secret, f"Bearer {token()}", "authenticated"),
        (KEYS.anon, f"bearer {token(aud=['authenticated'])}", "authenticated"),
        (KEYS.publishable, f"Bearer {token(role=None)}", "anon"),
        (KEYS.publishable, "Basic dXNlcjpwYXNz", "anon"),
    ],
)
async def test_the_data_api_is_told_the_role_as_a_token(
    key: str, authorization: str | None, role: str, gateway: Client, parts: tuple[Parts, int]
) -> None:
    headers = {"apikey": key} | ({"Authorization": authorization} if authorization else {})
    answer = await gateway.get("/rest/v1/videos", headers=headers)
    assert answer.status == 200
    sent = parts[0].seen[0]["headers"]["Authorization"].removeprefix("Bearer ")
    claims = jwt.decode(sent, SECRET, algorithms=["HS256"], audience="authenticated", options={"verify_aud": False})
    assert claims.get("role", "anon") == role


async def test_a_key_in_the_query_counts_and_goes_no_further(gateway: Client, parts: tuple[Parts, int]) -> None:
    target = f"/rest/v1/videos?select=id&apikey={KEYS.secret}&title=eq.a%2Cb".encode()
    assert await status_of(gateway, target, key="") == 200
    assert parts[0].seen[0]["path"] == "/rest/v1/videos?select=id&title=eq.a%2Cb"
    assert KEYS.secret not in json.dumps(parts[0].seen)


@pytest.mark.parametrize("path", ["/rest/v1/videos", "/auth/v1/user", "/auth/v1/admin/users", "/realtime/v1/websocket"])
async def test_a_missing_or_wrong_key_is_a_401_with_a_hint(path: str, gateway: Client) -> None:
    missing = await gateway.get(path)
    assert missing.status == 401
    assert (await missing.json())["message"] == "No API key found in request"
    for wrong in ("sb_secret_", KEYS.publishable + "x", token(), "키"):
        refused = await gateway.get(path, headers={"apikey": wrong})
        assert refused.status == 401
        assert await refused.json() == {
            "message": "Invalid API key",
            "hint": "Double check your Supabase publishable, secret, `anon` or `service_role` API key.",
        }


@pytest.mark.parametrize("path", ["/rest/v1/videos", "/auth/v1/admin/users", "/realtime/v1/websocket"])
async def test_a_browser_may_not_use_the_secret_key(path: str, gateway: Client) -> None:
    refused = await gateway.get(path, headers={"apikey": KEYS.secret, "User-Agent": BROWSER})
    assert refused.status == 401
    assert (await refused.json())["message"] == "Forbidden use of secret API key in browser"


async def test_a_browser_may_use_the_publishable_key(gateway: Client) -> None:
    answer = await gateway.get("/rest/v1/videos", headers={"apikey": KEYS.publishable, "User-Agent": BROWSER})
    assert answer.status == 200


async def test_requests_pass_unchanged_and_as_streams(gateway: Client, parts: tuple[Parts, int]) -> None:
    body = os.urandom(20_000_000)
    path = "/rest/v1/rpc/%EC%A0%80?x=eq.%22a%22&y=" + "i" * 20_000
    headers = {"apikey": KEYS.publishable, "Prefer": "return=minimal", "Content-Encoding": "gzip"}
    answer = await gateway.patch(path, data=io.BytesIO(body), headers=headers)
    assert answer.status == 200
    assert await answer.json() == {"method": "PATCH", "path": path, "sha256": hashlib.sha256(body).hexdigest()}
    assert answer.headers["Content-Range"] == "0-0/7"
    assert "X-Hop" not in answer.headers
    sent = parts[0].seen[0]["headers"]
    assert (sent["Prefer"], sent["Content-Encoding"]) == ("return=minimal", "gzip")
    assert sent["X-Forwarded-For"] == "127.0.0.1"


async def test_an_answer_that_breaks_off_does_not_look_complete(gateway: Client) -> None:
    answer = await gateway.get("/rest/v1/shortened", headers={"apikey": KEYS.publishable})
    with pytest.raises(aiohttp.ClientPayloadError):
        await answer.read()


@pytest.mark.parametrize(
    "path",
    ["/", "/rest", "/rest/v1x/videos", "/storage/v1/object", "/rest/v1/../../auth/v1/user", "/rest/v1/%2e%2e/auth"],
)
async def test_other_paths_are_a_404(path: str, gateway: Client, parts: tuple[Parts, int]) -> None:
    assert await status_of(gateway, path.encode(), key=KEYS.secret) == 404
    assert parts[0].seen == []


async def test_a_url_of_raw_bytes_is_a_400(gateway: Client) -> None:
    assert await status_of(gateway, b"/rest/v1/\xff\xfe", key=KEYS.anon) == 400


async def test_any_origin_may_ask(gateway: Client, parts: tuple[Parts, int]) -> None:
    asked = {
        "Origin": "http://localhost:3000",
        "Access-Control-Request-Method": "PATCH",
        "Access-Control-Request-Headers": "apikey,authorization,x-client-info",
    }
    for path in ("/rest/v1/videos", "/auth/v1/token", "/realtime/v1/api/broadcast"):
        preflight = await gateway.options(path, headers=asked)
        assert preflight.status == 200
        assert preflight.headers["Access-Control-Allow-Origin"] == "*"
        assert preflight.headers["Access-Control-Allow-Headers"] == asked["Access-Control-Request-Headers"]
        assert "PATCH" in preflight.headers["Access-Control-Allow-Methods"]
    assert parts[0].seen == []
    for headers in ({"apikey": KEYS.publishable}, {}):
        answer = await gateway.get("/rest/v1/videos", headers={"Origin": "http://localhost:3000", **headers})
        assert answer.headers.getall("Access-Control-Allow-Origin") == ["*"]
        assert "Content-Range" in answer.headers["Access-Control-Expose-Headers"]


async def test_parts_that_are_down_are_a_503_that_says_what_to_do(tmp_path: Path) -> None:
    served = Gateway(described(tmp_path), {})
    client = await client_of(served)
    headers = {"apikey": KEYS.publishable}
    for path, part in (
        ("/rest/v1/videos", "data-api"),
        ("/auth/v1/user", "data-api"),
        ("/realtime/v1/api", "realtime"),
    ):
        answer = await client.get(path, headers=headers)
        assert answer.status == 503
        body = await answer.json()
        assert part in body["message"]
        assert "./scripts/dev" in body["hint"]
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await client.ws_connect("/realtime/v1/websocket", headers=headers)
    assert refused.value.status == 503
    assert (await client.get("/health")).status == 200
    await client.close()
    await served.close()


async def test_the_gateway_survives_a_restart_of_a_part(tmp_path: Path) -> None:
    port = unused_port()
    served = Gateway(described(tmp_path, data_api=port), {})
    client = await client_of(served)
    statuses = []
    for _ in range(3):
        part = TestServer(Parts().application(), port=port)
        await part.start_server()
        statuses += [
            (await client.post("/rest/v1/a", headers={"apikey": KEYS.anon}, data=b"x")).status for _ in range(3)
        ]
        await part.close()
        statuses.append((await client.post("/rest/v1/a", headers={"apikey": KEYS.anon}, data=b"x")).status)
    assert statuses == [200, 200, 200, 503] * 3
    await client.close()
    await served.close()


async def test_a_mailed_code_may_be_verified_as_type_email(gateway: Client, parts: tuple[Parts, int]) -> None:
    for asked, passed in (("email", "magiclink"), ("signup", "signup")):
        body = {"type": asked, "email": "한@example.com", "token": "123456"}
        answer = await gateway.post("/auth/v1/verify", json=body)
        assert answer.status == 200
        assert parts[0].seen[-1]["json"] == {**body, "type": passed}


async def test_a_session_is_not_given_out_while_the_database_is_down(gateway: Client) -> None:
    answer = await gateway.post("/auth/v1/token?grant_type=password", headers={"apikey": KEYS.publishable}, json={})
    assert answer.status == 503
    assert "access_token" not in await answer.text()
    listed = await gateway.get("/auth/v1/admin/users", headers={"apikey": KEYS.secret})
    assert listed.status == 503


async def test_websockets_carry_text_binary_and_the_closing_code(gateway: Client, parts: tuple[Parts, int]) -> None:
    socket = await gateway.ws_connect(f"/realtime/v1/websocket?apikey={KEYS.publishable}&vsn=2.0.0&log_level=info")
    await socket.send_str('["1","2","room","한",{}]')
    assert await socket.receive_str() == '["1","2","room","한",{}]'
    await socket.send_bytes(bytes(range(256)) * 1000)
    assert await socket.receive_bytes() == bytes(range(256)) * 1000
    assert parts[0].seen[0]["path"] == f"/realtime/v1/websocket?vsn=2.0.0&log_level=info&apikey={KEYS.anon}"
    await socket.send_str("close")
    assert (await socket.receive()).type is WSMsgType.CLOSE
    assert socket.close_code == 4001


@pytest.mark.parametrize("key", [KEYS.secret, KEYS.service_role])
async def test_realtime_sees_only_tokens(key: str, gateway: Client, parts: tuple[Parts, int]) -> None:
    answer = await gateway.post(
        "/realtime/v1/api/broadcast", headers={"apikey": key, "Authorization": f"Bearer {key}"}, json={"messages": []}
    )
    assert answer.status == 200
    sent = parts[0].seen[0]["headers"]
    assert (sent["apikey"], sent["Authorization"]) == (KEYS.service_role, f"Bearer {KEYS.service_role}")


class FunctionNotFound(Exception):  # noqa: N818 - the runtime's own name
    pass


class FunctionFailed(Exception):  # noqa: N818
    pass


@pytest.fixture
async def functions(parts: tuple[Parts, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Client]:
    """The gateway with a stand-in for the functions' runtime: `open` needs no token, `guarded` does."""

    class FunctionsRuntime:
        def __init__(self, stack: Stack) -> None:
            self.stack = stack

        async def port_for(self, name: str) -> int:
            if name == "broken":
                raise FunctionFailed("SyntaxError in broken")
            if name not in ("open", "guarded"):
                raise FunctionNotFound(name)
            return parts[1]

        def verify_jwt(self, name: str) -> bool:
            return name in ("guarded", "unknown-guarded")

        async def close(self) -> None:
            return None

    module = ModuleType("scripts.local_stack.functions_runtime")
    vars(module).update(
        FunctionsRuntime=FunctionsRuntime, FunctionNotFound=FunctionNotFound, FunctionFailed=FunctionFailed
    )
    monkeypatch.setitem(sys.modules, module.__name__, module)
    served = Gateway(described(tmp_path), {})
    client = await client_of(served)
    yield client
    await client.close()
    await served.close()


@pytest.mark.parametrize(
    ("headers", "status", "message"),
    [
        ({}, 401, "Missing authorization header"),
        ({"apikey": "sb_secret_wrong"}, 401, "Missing authorization header"),
        ({"Authorization": "Bearer nonsense"}, 401, "Invalid JWT"),
        ({"Authorization": f"Bearer {token(exp=1)}"}, 401, "Invalid JWT"),
        ({"Authorization": f"Bearer {token()}x"}, 401, "Invalid JWT"),
        ({"Authorization": f"Bearer {token()}"}, 200, None),
        ({"Authorization": f"Bearer {KEYS.anon}"}, 200, None),
        ({"apikey": KEYS.publishable}, 200, None),
        ({"apikey": KEYS.publishable, "Authorization": f"Bearer {KEYS.publishable}"}, 200, None),
    ],
)
async def test_verify_jwt_wants_a_valid_token(
    headers: dict[str, str], status: int, message: str | None, functions: Client
) -> None:
    answer = await functions.post("/functions/v1/guarded", headers=headers, json={})
    assert answer.status == status
    if message:
        assert await answer.json() == {"code": 401, "message": message}


async def test_a_function_gets_its_own_path_and_the_callers_headers(
    functions: Client, parts: tuple[Parts, int]
) -> None:
    answer = await functions.post("/functions/v1/open/sub%2Fpath?a=1", headers={"x-ondol-wake": "t=1,v1=a"}, data=b"{}")
    assert (await answer.json())["path"] == "/open/sub%2Fpath?a=1"
    assert parts[0].seen[0]["headers"]["x-ondol-wake"] == "t=1,v1=a"
    assert parts[0].seen[0]["headers"]["X-Forwarded-Host"].startswith("127.0.0.1:")
    preflight = await functions.options(
        "/functions/v1/guarded", headers={"Origin": "http://a", "Access-Control-Request-Method": "POST"}
    )
    assert (preflight.status, parts[0].seen[1]["path"]) == (200, "/guarded")


async def test_functions_that_are_not_there_or_do_not_start(functions: Client) -> None:
    for path in ("/functions/v1/nothing", "/functions/v1/", "/functions/v1", "/functions/v1/a%2Fb"):
        missing = await functions.post(path)
        assert missing.status == 404
        assert await missing.json() == {"code": "NOT_FOUND", "message": "Requested function was not found"}
    broken = await functions.post("/functions/v1/broken")
    assert broken.status == 503
    assert (await broken.json())["code"] == "BOOT_ERROR"


def valid_claims() -> dict[str, Any]:
    return {
        "iss": "http://127.0.0.1/auth/v1",
        "aud": "authenticated",
        "exp": 2,
        "iat": 1,
        "sub": str(uuid4()),
        "email": "a@example.com",
        "phone": "",
        "role": "authenticated",
        "aal": "aal1",
        "session_id": str(uuid4()),
        "is_anonymous": False,
    }


def test_a_hook_may_add_claims_and_take_away_what_is_not_required() -> None:
    changed = {**valid_claims(), "app_metadata": {"tier": "pro"}, "other": [1, None]}
    del changed["iss"]
    assert judge({"claims": changed}) == changed


@pytest.mark.parametrize(
    ("output", "status", "message"),
    [
        (None, 500, "Error unmarshaling JSON output."),
        ({}, 500, "output claims field is missing"),
        ({"claims": None}, 500, "(root): Invalid type. Expected: object, given: null"),
        ({"claims": {}}, 500, "- (root): session_id is required"),
        ({"claims": {**valid_claims(), "role": 1}}, 500, "- role: Invalid type. Expected: string, given: integer"),
        ({"claims": {**valid_claims(), "exp": True}}, 500, "- exp: Invalid type. Expected: integer, given: boolean"),
        ({"error": {"message": "no", "http_code": 403}, "claims": valid_claims()}, 403, "no"),
        ({"error": {"message": "no"}}, 500, "no"),
        ({"error": {"message": "no", "http_code": 200}}, 500, "no"),
        ({"error": {"http_code": 403}}, 500, "output claims field is missing"),
    ],
)
def test_a_hooks_output_is_judged_as_on_hosted(output: Any, status: int, message: str) -> None:
    with pytest.raises(Refused) as refused:
        judge(output)
    assert refused.value.status == status
    assert message in refused.value.body["msg"]


@pytest.mark.parametrize("uri", ["https://example.com/hook", "pg-functions://postgres/only_a_name", ""])
def test_a_hook_that_cannot_run_here_is_refused_at_the_start(uri: str) -> None:
    with pytest.raises(StackError, match="pg-functions"):
        TokenHook.configured({"hook": {"custom_access_token": {"enabled": True, "uri": uri}}})


@pytest.mark.parametrize(
    ("written", "seconds"), [("24h", 86400), ("1h30m", 5400), ("1.5s", 1.5), ("100ms", 0.1), ("-1h", -3600)]
)
def test_ban_durations(written: str, seconds: float) -> None:
    assert duration_seconds(written) == pytest.approx(seconds)


@pytest.mark.parametrize("written", ["", "1", "1d", "h", "1h 30m", "forever"])
def test_durations_that_are_none(written: str) -> None:
    with pytest.raises(Refused, match="ban duration"):
        duration_seconds(written)


def test_without_parameter_keeps_every_other_byte() -> None:
    assert without_parameter("/a?apikey=1&b=%2C&&c", "apikey") == "/a?b=%2C&c"
    assert without_parameter("/a?%61pikey=1", "apikey") == "/a"
    assert without_parameter("/a", "apikey", value="x.y.z") == "/a?apikey=x.y.z"


def test_keys_are_compared_whole() -> None:
    ring = KeyRing(KEYS)
    assert ring.key_role(KEYS.secret[:-1]) is None
    assert ring.key_role("") is None
    assert ring.key_role("\udcff") is None


# From here on: against the running stack.

HOOKS = {
    "accepts": "return jsonb_set(event, '{claims,app_metadata,tier}', to_jsonb('pro'::text));",
    "sees_who_runs_it": "return jsonb_set(event, '{claims,app_metadata,ran_as}', to_jsonb(session_user::text));",
    "refuses": """return '{"error": {"http_code": 403, "message": "Not on this list"}}';""",
    "raises": "raise exception 'secret detail'; return event;",
    "drops_a_claim": "return event #- '{claims,session_id}';",
    "sleeps": "perform pg_sleep(10); return event;",
}


@pytest.fixture(scope="module")
def hooks(stack: Stack) -> Iterator[None]:
    """Hook functions in a schema of their own, which goes at the end."""
    with psycopg.connect(stack.database_url(), autocommit=True) as connection:
        connection.execute("drop schema if exists gateway_test cascade")
        connection.execute("create schema gateway_test")
        connection.execute("grant usage on schema gateway_test to supabase_auth_admin")
        for name, body in HOOKS.items():
            connection.execute(
                f"create function gateway_test.{name}(event jsonb) returns jsonb language plpgsql "
                f"set search_path = pg_catalog, pg_temp as $hook$ begin {body} end $hook$"
            )
            connection.execute(f"revoke execute on function gateway_test.{name} from public")
            connection.execute(f"grant execute on function gateway_test.{name} to supabase_auth_admin")
        connection.execute(
            "create function gateway_test.not_granted(event jsonb) returns jsonb language sql as 'select event'"
        )
        connection.execute("revoke execute on function gateway_test.not_granted from public")
        yield
        connection.execute("drop schema gateway_test cascade")


class HookedGateway:
    """A gateway beside the stack's own, whose token hook is one of these tests' functions."""

    def __init__(self, stack: Stack, hook: str) -> None:
        uri = f"pg-functions://postgres/gateway_test/{hook}"
        config = {"auth": {"hook": {"custom_access_token": {"enabled": True, "uri": uri}}}}
        self.stack = stack
        self.gateway = Gateway(stack, config)

    async def __aenter__(self) -> HookedGateway:
        self.client = await client_of(self.gateway)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.client.close()
        await self.gateway.close()

    async def post(self, path: str, body: dict[str, Any], *, key: str | None = None) -> tuple[int, dict[str, Any]]:
        headers = {"apikey": key or self.stack.keys.publishable}
        answer = await self.client.post(f"/auth/v1/{path}", json=body, headers=headers)
        return answer.status, await answer.json()


@pytest.fixture
async def person(stack: Stack, hooks: None) -> AsyncIterator[dict[str, str]]:
    """A confirmed user: id, email and password."""
    made = {"email": f"gateway-{uuid4()}@example.com", "password": "a-long-password"}
    async with HookedGateway(stack, "accepts") as gateway:
        status, user = await gateway.post("admin/users", {**made, "email_confirm": True}, key=stack.keys.secret)
        assert status == 200
        yield {**made, "id": user["id"]}
        await gateway.client.delete(f"/auth/v1/admin/users/{user['id']}", headers={"apikey": stack.keys.secret})


def sessions_of(stack: Stack, person: dict[str, str]) -> int:
    with psycopg.connect(stack.database_url()) as connection:
        counted = connection.execute(
            "select count(*) from auth.sessions where user_id = %s", (person["id"],)
        ).fetchone()
    assert counted is not None
    return int(counted[0])


def claims_of(session: dict[str, Any]) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(session["access_token"], options={"verify_signature": False})
    return claims


async def test_the_hook_runs_as_supabase_auth_admin(stack: Stack, person: dict[str, str]) -> None:
    async with HookedGateway(stack, "sees_who_runs_it") as gateway:
        status, session = await gateway.post("token?grant_type=password", person)
    assert status == 200
    assert claims_of(session)["app_metadata"]["ran_as"] == "supabase_auth_admin"


@pytest.mark.parametrize(
    ("hook", "status", "code", "message"),
    [
        ("refuses", 403, "unknown", "Not on this list"),
        ("raises", 500, "unexpected_failure", "Error running hook URI: pg-functions://postgres/gateway_test/raises"),
        ("not_granted", 500, "unexpected_failure", "Error running hook URI"),
        ("drops_a_claim", 500, "unexpected_failure", "(root): session_id is required"),
        ("sleeps", 500, "unexpected_failure", "Error running hook URI"),
    ],
)
async def test_a_failing_hook_fails_the_sign_in_and_leaves_no_session(
    hook: str, status: int, code: str, message: str, stack: Stack, person: dict[str, str]
) -> None:
    async with HookedGateway(stack, hook) as gateway:
        started = time.monotonic()
        answered, body = await gateway.post("token?grant_type=password", person)
    assert (answered, body["code"], body["error_code"]) == (status, status, code)
    assert message in body["msg"]
    assert "secret detail" not in json.dumps(body)
    assert "access_token" not in body
    assert time.monotonic() - started < 6
    assert sessions_of(stack, person) == 0


async def test_a_refresh_that_the_hook_refuses_can_be_tried_again(stack: Stack, person: dict[str, str]) -> None:
    async with HookedGateway(stack, "accepts") as accepting, HookedGateway(stack, "refuses") as refusing:
        _, session = await accepting.post("token?grant_type=password", person)
        asked = {"refresh_token": session["refresh_token"]}
        status, _ = await refusing.post("token?grant_type=refresh_token", asked)
        assert status == 403
        status, again = await accepting.post("token?grant_type=refresh_token", asked)
    assert status == 200
    assert claims_of(again)["app_metadata"]["tier"] == "pro"
    assert claims_of(again)["session_id"] == claims_of(session)["session_id"]
    assert again["refresh_token"] != session["refresh_token"]


async def test_connections_that_postgres_ended_are_replaced(stack: Stack, person: dict[str, str]) -> None:
    async with HookedGateway(stack, "accepts") as gateway:
        headers = {"apikey": stack.keys.secret}
        path = f"/auth/v1/admin/users/{person['id']}"
        assert (await gateway.client.get(path, headers=headers)).status == 200
        with psycopg.connect(stack.database_url("supabase_admin")) as connection:
            ended = connection.execute(
                "select pg_terminate_backend(pid, 5000) from pg_stat_activity where application_name = 'gateway'"
            ).fetchall()
        assert ended
        assert (await gateway.client.get(path, headers=headers)).status == 200
        assert (await gateway.post("token?grant_type=password", person))[0] == 200


async def test_a_hook_that_is_not_there_is_passed_over(stack: Stack, person: dict[str, str]) -> None:
    async with HookedGateway(stack, "no_such_function") as gateway:
        status, session = await gateway.post("token?grant_type=password", person)
    assert status == 200
    assert claims_of(session)["app_metadata"] == {"provider": "email", "providers": ["email"]}


async def test_a_link_from_a_mail_redirects_with_the_full_token(
    parts: tuple[Parts, int], stack: Stack, person: dict[str, str], hooks: None
) -> None:
    async with HookedGateway(stack, "accepts") as gateway:
        _, session = await gateway.post("token?grant_type=password", person)
        bare = jwt.encode(
            {"session_id": claims_of(session)["session_id"], "role": "authenticated", "aud": "authenticated"},
            stack.keys.jwt_secret,
            algorithm="HS256",
        )

    async def verify(_: web.Request) -> web.Response:
        raise web.HTTPSeeOther(f"http://localhost:3000/welcome#access_token={bare}&type=magiclink&refresh_token=r")

    app = web.Application()
    app.router.add_get("/auth/v1/verify", verify)
    mails = TestServer(app)
    await mails.start_server()
    redirecting = replace(stack, ports=replace(stack.ports, data_api=mails.port or 0))
    async with HookedGateway(redirecting, "accepts") as gateway:
        answer = await gateway.client.get("/auth/v1/verify?token=t&type=magiclink", allow_redirects=False)
    await mails.close()
    assert answer.status == 303
    address, _, fragment = answer.headers["Location"].partition("#")
    pairs = dict(pair.split("=", 1) for pair in fragment.split("&"))
    assert (address, pairs["type"], pairs["refresh_token"]) == ("http://localhost:3000/welcome", "magiclink", "r")
    claims = claims_of(pairs)
    assert claims["app_metadata"]["tier"] == "pro"
    assert {entry["method"] for entry in claims["amr"]} == {"password", "otp"}


async def test_legacy_keys_work_on_the_running_stack(stack: Stack) -> None:
    async with aiohttp.ClientSession(stack.api_url) as session:
        for key, status in ((stack.keys.anon, 403), (stack.keys.service_role, 200)):
            headers = {"apikey": key, "Authorization": f"Bearer {key}"}
            async with session.get("/auth/v1/admin/users", headers=headers) as answer:
                assert answer.status == status


@pytest.mark.parametrize("name", FORGED)
async def test_a_forged_token_is_nobody_on_the_running_stack(name: str, stack: Stack) -> None:
    """Made with another secret than the stack's, each is refused by whichever part looks at it."""
    headers = {"apikey": stack.keys.publishable, "Authorization": f"Bearer {forged(name)}"}
    async with aiohttp.ClientSession(stack.api_url) as session:
        for method, path, statuses in (
            ("GET", "/auth/v1/user", {401, 403, 431}),
            ("PUT", "/auth/v1/user", {401, 403, 431}),
            ("POST", "/auth/v1/logout", {401, 403, 431}),
            ("GET", "/auth/v1/admin/users", {403}),
            ("GET", "/rest/v1/users", {401}),
            ("POST", "/rest/v1/rpc/detect_trends", {401}),
            ("POST", "/realtime/v1/api/broadcast", {401}),
        ):
            body: dict[str, Any] | None = None if method == "GET" else {}
            async with session.request(method, path, headers=headers, json=body) as answer:
                assert answer.status in statuses, f"{method} {path}"


async def test_admin_users_refuse_bad_input_with_a_reason(stack: Stack, hooks: None) -> None:
    bodies: list[tuple[Any, int, str]] = [
        ([], 400, "bad_json"),
        ({"email": 1}, 400, "bad_json"),
        ({"email": "a\0@example.com"}, 400, "bad_json"),
        ({"email": "a@example.com", "app_metadata": "x"}, 400, "bad_json"),
        ({}, 400, "validation_failed"),
        ({"email": "nobody"}, 400, "validation_failed"),
        ({"email": "a@example.com", "password": "가" * 25}, 400, "validation_failed"),
        ({"email": "a@example.com", "ban_duration": "long"}, 400, "validation_failed"),
    ]
    async with HookedGateway(stack, "accepts") as gateway:
        for body, status, code in bodies:
            answered, error = await gateway.post("admin/users", body, key=stack.keys.secret)
            assert (answered, error["error_code"]) == (status, code)
        headers = {"apikey": stack.keys.secret}
        for query in ("page=0", "page=x", "per_page=-1", "page=99999999999999999999"):
            answer = await gateway.client.get(f"/auth/v1/admin/users?{query}", headers=headers)
            assert answer.status == 400
        answer = await gateway.client.post("/auth/v1/admin/generate_link", headers=headers, json={})
        assert (answer.status, (await answer.json())["error_code"]) == (501, "not_implemented")


async def start(stack: Stack) -> asyncio.subprocess.Process:
    stack.save()
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "scripts.local_stack.gateway",
        str(stack.file),
        cwd=REPOSITORY,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )


async def test_it_ends_at_once_on_sigterm_even_with_open_websockets(parts: tuple[Parts, int], tmp_path: Path) -> None:
    stack = described(tmp_path, realtime=parts[1])
    process = await start(stack)
    assert process.stdout is not None
    assert stack.api_url in (await process.stdout.readline()).decode()
    async with aiohttp.ClientSession(stack.api_url) as session:
        websocket = await session.ws_connect(f"/realtime/v1/websocket?apikey={KEYS.publishable}")
        await websocket.send_str("hello")
        assert await websocket.receive_str() == "hello"
        asked = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert (await websocket.receive()).type in (WSMsgType.CLOSE, WSMsgType.CLOSED)
        assert await process.wait() == 0
        assert time.monotonic() - asked < 2
    assert (await process.stdout.read()) == b""


async def test_a_taken_port_is_one_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        process = await start(described(tmp_path, gateway=port))
        output, _ = await process.communicate()
    assert process.returncode == 1
    assert output.decode().startswith(f"gateway: Port {port} on 127.0.0.1 is taken.")
    assert len(output.decode().splitlines()) == 1
