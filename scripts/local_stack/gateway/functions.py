"""/functions/v1: the token check of `verify_jwt`, then the function's own process."""

from __future__ import annotations

import importlib
import re
from typing import Any, Protocol, cast

from aiohttp import web
from multidict import CIMultiDict

from ..settings import Stack
from .answers import Refused
from .keys import KeyRing, TokenRefused, bearer
from .proxy import Proxy

FUNCTION_NAME = re.compile(r"[A-Za-z0-9_-]+")


class Runtime(Protocol):
    """What the gateway asks of scripts/local_stack/functions_runtime.py."""

    async def port_for(self, name: str) -> int: ...

    async def close(self) -> None: ...

    def verify_jwt(self, name: str) -> bool: ...


class Functions:
    """Serves /functions/v1; the runtime is loaded at the first call, so that the gateway starts without it."""

    def __init__(self, stack: Stack, *, keys: KeyRing, proxy: Proxy) -> None:
        self._stack = stack
        self._keys = keys
        self._proxy = proxy
        self._module: Any = None
        self._runtime: Runtime | None = None

    def runtime(self) -> Runtime:
        if self._runtime is None:
            self._module = importlib.import_module("scripts.local_stack.functions_runtime")
            self._runtime = cast("Runtime", self._module.FunctionsRuntime(self._stack))
        return self._runtime

    async def handle(
        self, request: web.Request, *, key: str | None, path: str, headers: CIMultiDict[str], cors: dict[str, str]
    ) -> web.StreamResponse:
        """Answer the request for `path` (with query, below /functions/v1)."""
        route, _, query = path.partition("?")
        name = route.lstrip("/").partition("/")[0]
        runtime = self.runtime()
        if not FUNCTION_NAME.fullmatch(name):
            raise unknown_function()
        if key is not None and self._keys.key_role(key) is not None:
            self._keys.require_key(key, user_agent=request.headers.get("User-Agent", ""))
        if request.method != "OPTIONS" and runtime.verify_jwt(name):
            self._require_token(key, headers.get("Authorization"))
        try:
            port = await runtime.port_for(name)
        except self._module.FunctionNotFound:
            raise unknown_function() from None
        except self._module.FunctionFailed as failed:
            raise Refused(
                503,
                {
                    "code": "BOOT_ERROR",
                    "message": "Function failed to start (please check logs)",
                    "hint": str(failed),
                },
            ) from None
        return await self._proxy.stream(
            request,
            part=f"function {name}",
            port=port,
            path=f"{route}?{query}" if query else route,
            headers=headers,
            answer_headers={},  # as on hosted, a function speaks for its own CORS
        )

    def _require_token(self, key: str | None, authorization: str | None) -> None:
        """A user's token or an API key; a key of the newer generation is no JWT and identifies nobody."""
        offered = bearer(authorization)
        if offered is None:
            if self._keys.key_role(key) is None:
                raise Refused(401, {"code": 401, "message": "Missing authorization header"})
            return
        if self._keys.key_role(offered) is not None:
            return
        try:
            self._keys.claims(offered)
        except TokenRefused:
            raise Refused(401, {"code": 401, "message": "Invalid JWT"}) from None

    async def close(self) -> None:
        if self._runtime is not None:
            await self._runtime.close()


def unknown_function() -> Refused:
    return Refused(404, {"code": "NOT_FOUND", "message": "Requested function was not found"})
