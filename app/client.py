"""The one place that speaks to the backend: supabase-py's async client with timeouts and our errors."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Self

import httpx
from postgrest import APIError, APIResponse
from supabase import AsyncClient, AsyncClientOptions, acreate_client
from supabase_auth.errors import AuthError
from supabase_functions.errors import FunctionsError

from .config import Secret, Settings
from .errors import OndolError, TimedOutError, UnreachableError, request_error

__all__ = ["Client"]

# supabase-py's APIError drops the HTTP status; a response hook keeps it for the call that is running.
_status: ContextVar[int | None] = ContextVar("ondol_http_status", default=None)


class Client:
    """An async context manager around one supabase-py client.

    `key` is the API key to use (default: the publishable one). `http` is an httpx client to use instead of an own
    one, for instance with a mock transport; it stays the caller's to close.
    """

    def __init__(self, settings: Settings, *, key: Secret | None = None, http: httpx.AsyncClient | None = None) -> None:
        self.settings = settings
        self.key = key or settings.publishable_key
        self.timeout_seconds = settings.timeout_seconds
        self._given_http = http
        self._stack = AsyncExitStack()
        self._supabase: AsyncClient | None = None

    async def __aenter__(self) -> Self:
        http = self._given_http
        if http is None:
            http = await self._stack.enter_async_context(httpx.AsyncClient(timeout=self.timeout_seconds, http2=True))
        if _keep_status not in http.event_hooks["response"]:
            http.event_hooks = {**http.event_hooks, "response": [*http.event_hooks["response"], _keep_status]}
        options = AsyncClientOptions(httpx_client=http)
        self._supabase = await acreate_client(self.settings.url, self.key.reveal(), options)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._supabase = None
        await self._stack.aclose()

    @property
    def supabase(self) -> AsyncClient:
        """The supabase-py client, for what this package has no method for."""
        if self._supabase is None:
            raise RuntimeError("use `async with Client(settings) as client`")
        return self._supabase

    async def call(self, function: str, arguments: Mapping[str, object]) -> Any:
        """Call the SQL function `function` with named arguments; returns its decoded JSON answer."""
        return await self.run(function, self.supabase.rpc(function, dict(arguments)).execute())

    async def run(self, doing: str, request: Awaitable[APIResponse]) -> Any:
        """Await a request of supabase-py within the timeout; returns its decoded JSON answer."""
        with self.errors(doing):
            async with asyncio.timeout(self.timeout_seconds):
                return (await request).data

    async def request(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, json: object = None
    ) -> httpx.Response:
        """A plain request below the project's URL with the API key; any HTTP status is an answer."""
        http = self.supabase.options.httpx_client
        if http is None:
            raise RuntimeError("the client was made without an HTTP client")
        with self.errors(path):
            async with asyncio.timeout(self.timeout_seconds):
                return await http.request(
                    method,
                    self.settings.url + path,
                    headers={"apikey": self.key.reveal(), **(headers or {})},
                    json=json,
                )

    async def sign_in(self, email: str, *, password: Secret) -> None:
        """Sign a user in; later calls and subscriptions carry the user's token."""
        with self.errors("sign_in"):
            async with asyncio.timeout(self.timeout_seconds):
                await self.supabase.auth.sign_in_with_password({"email": email, "password": password.reveal()})

    async def access_token(self) -> str | None:
        """The signed-in user's token, refreshed when it is old; None when nobody is signed in."""
        with self.errors("access_token"):
            async with asyncio.timeout(self.timeout_seconds):
                session = await self.supabase.auth.get_session()
        return session.access_token if session else None

    @contextmanager
    def errors(self, doing: str) -> Iterator[None]:
        """Turn what the libraries raise while `doing` something into this package's errors."""
        url = self.settings.url
        reset = _status.set(None)
        try:
            yield
        except OndolError:
            raise
        except (TimeoutError, httpx.TimeoutException) as error:
            raise TimedOutError("timed_out", url=url, doing=doing, seconds=f"{self.timeout_seconds:g}") from error
        except APIError as error:
            details = None if error.details is None else str(error.details)
            raise request_error(
                error.message, doing=doing, code=error.code, details=details, hint=error.hint, status=_status.get()
            ) from error
        except AuthError as error:
            status = getattr(error, "status", None) or _status.get()
            raise request_error(error.message, doing=doing, code=error.code, status=status) from error
        except FunctionsError as error:
            raise request_error(error.message, doing=doing, status=error.status) from error
        except (httpx.TransportError, httpx.InvalidURL, OSError) as error:
            raise UnreachableError("unreachable", url=url, problem=str(error) or type(error).__name__) from error
        finally:
            _status.reset(reset)


async def _keep_status(response: httpx.Response) -> None:
    _status.set(response.status_code)
