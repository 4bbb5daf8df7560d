"""The gateway's HTTP server: which part a path belongs to, CORS, and a clean end."""

from __future__ import annotations

import asyncio
import signal
import sys
import tomllib
import traceback
from contextlib import suppress
from typing import Any

from aiohttp import web
from multidict import CIMultiDict

from ..listening import listen
from ..settings import Stack
from .answers import Refused, json_answer, no_route
from .auth import Auth
from .database import AuthDatabase
from .functions import Functions
from .keys import KeyRing
from .proxy import LONGEST_LINE, Proxy, client_session, forwarded, without_parameter

CORS_METHODS = "GET,HEAD,PUT,PATCH,POST,DELETE,OPTIONS,TRACE,CONNECT"
EXPOSED = (
    "Content-Encoding, Content-Location, Content-Range, Content-Type, Date, Link, Location, Preference-Applied, "
    "Range-Unit, Retry-After, Server, Transfer-Encoding, X-Sb-Error-Code, X-Supabase-Api-Version, X-Total-Count"
)
SECONDS_TO_END = 1.0
SERVER_OPTIONS: dict[str, Any] = {
    "access_log": None,
    "auto_decompress": False,  # bodies pass as they came
    "max_line_size": LONGEST_LINE,
    "max_field_size": LONGEST_LINE,
}


class Gateway:
    """Serves one stack by the settings of its supabase/config.toml."""

    def __init__(self, stack: Stack, config: dict[str, Any]) -> None:
        self._stack = stack
        self._keys = KeyRing(stack.keys)
        self._session = client_session()
        self._proxy = Proxy(self._session)
        self._database = AuthDatabase(stack)
        self._auth = Auth(stack, config=config, keys=self._keys, database=self._database, proxy=self._proxy)
        self._functions = Functions(stack, keys=self._keys, proxy=self._proxy)

    async def close(self) -> None:
        await self._functions.close()
        await self._database.close()
        await self._session.close()

    def application(self) -> web.Application:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self.handle)
        app.on_shutdown.append(self._end_websockets)
        return app

    async def _end_websockets(self, _: web.Application) -> None:
        await self._proxy.close_websockets()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Every request passes here; whatever goes wrong inside becomes one JSON answer."""
        cors = cors_headers(request)
        try:
            answer = await self._dispatch(request, cors)
        except Refused as refused:
            answer = refused.answer()
        except ConnectionError:
            raise  # the client went away
        except Exception:
            traceback.print_exc(file=sys.stderr)
            answer = json_answer(
                {"message": "The gateway failed on this request.", "hint": "Its log has the reason."}, status=500
            )
        if not answer.prepared:
            answer.headers.update(cors)
        return answer

    async def _dispatch(self, request: web.Request, cors: dict[str, str]) -> web.StreamResponse:
        if request.path == "/health":
            return json_answer({"status": "ok", "stack": self._stack.name})
        service, path = split_path(request)
        if service != "functions" and is_preflight(request):
            return web.Response(status=200, headers=preflight_headers(request))
        key = request.headers.get("apikey") or request.query.get("apikey") or None
        path = without_parameter(path, "apikey")
        headers = forwarded(request)
        if service == "rest":
            return await self._rest(request, key=key, path=path, headers=headers, cors=cors)
        if service == "realtime":
            return await self._realtime(request, key=key, path=path, headers=headers, cors=cors)
        part = self._auth if service == "auth" else self._functions
        return await part.handle(request, key=key, path=path, headers=headers, cors=cors)

    async def _rest(
        self, request: web.Request, *, key: str | None, path: str, headers: CIMultiDict[str], cors: dict[str, str]
    ) -> web.StreamResponse:
        caller = self._keys.caller(key, headers.get("Authorization"), user_agent=request.headers.get("User-Agent", ""))
        headers["Authorization"] = f"Bearer {caller.token}"
        headers["apikey"] = caller.token if caller.claims is None else self._stack.keys.anon
        return await self._proxy.stream(
            request,
            part="data-api",
            port=self._stack.ports.data_api,
            path=f"/rest/v1{path}",
            headers=headers,
            answer_headers=cors,
        )

    async def _realtime(
        self, request: web.Request, *, key: str | None, path: str, headers: CIMultiDict[str], cors: dict[str, str]
    ) -> web.StreamResponse:
        caller = self._keys.caller(key, headers.get("Authorization"), user_agent=request.headers.get("User-Agent", ""))
        headers["Authorization"] = f"Bearer {caller.token}"
        headers["apikey"] = caller.token
        port = self._stack.ports.realtime
        path = f"/realtime/v1{path}"
        if request.headers.get("Upgrade", "").lower() == "websocket":
            path = without_parameter(path, "apikey", value=caller.token)
            return await self._proxy.websocket(request, part="realtime", port=port, path=path, headers=headers)
        return await self._proxy.stream(
            request, part="realtime", port=port, path=path, headers=headers, answer_headers=cors
        )


def split_path(request: web.Request) -> tuple[str, str]:
    """The service a request is for, and its path and query below /<service>/v1 exactly as they came."""
    raw = request.raw_path
    if not raw.isascii():
        raise Refused(400, {"message": "The URL holds bytes that are not percent-encoded."})
    for service in ("rest", "auth", "realtime", "functions"):
        prefix = f"/{service}/v1"
        if raw.startswith(prefix) and raw[len(prefix) :][:1] in ("", "/", "?"):
            # A part would resolve dots and reach what this prefix does not guard.
            if any(segment in (".", "..") for segment in request.path.replace("\\", "/").split("/")):
                raise no_route()
            return service, raw[len(prefix) :]
    raise no_route()


def is_preflight(request: web.Request) -> bool:
    return request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers


def preflight_headers(request: web.Request) -> dict[str, str]:
    return {
        "Access-Control-Allow-Methods": CORS_METHODS,
        "Access-Control-Allow-Headers": request.headers.get("Access-Control-Request-Headers", "*"),
        "Access-Control-Max-Age": "3600",
    }


def cors_headers(request: web.Request) -> dict[str, str]:
    """Any origin may ask: what protects data is the key and the token, never the origin."""
    if "Origin" not in request.headers:
        return {}
    return {"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": EXPOSED, "Vary": "Origin"}


async def serve(stack: Stack) -> None:
    """Listen on 127.0.0.1 until SIGTERM or SIGINT; raises StackError when the port is taken."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    with (stack.repository / "supabase" / "config.toml").open("rb") as file:
        gateway = Gateway(stack, tomllib.load(file))
    runner = web.AppRunner(
        gateway.application(), handle_signals=False, shutdown_timeout=SECONDS_TO_END, **SERVER_OPTIONS
    )
    await runner.setup()
    try:
        await listen(runner, stack.ports.gateway)
        print(f"gateway: listening on {stack.api_url}", flush=True)
        await ended.wait()
    finally:
        await runner.cleanup()
        with suppress(TimeoutError):
            await asyncio.wait_for(gateway.close(), SECONDS_TO_END)
