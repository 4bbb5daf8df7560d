"""Bright Data's Web Scraper API: trigger a search, ask how far it is, stream what it found.

It scrapes YouTube's pages; docs/brightdata.md says what that means for YouTube's terms. Nothing runs without a key.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Literal, Self

import httpx
from pydantic_core import from_json
from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt

from ..config import BRIGHT_DATA_API_URL, Secret, check_secret_goes_safely
from ..errors import SourceError
from .json_rows import BrokenRowsError, JsonRows
from .sources import is_packed_once

__all__ = ["VIDEOS_DATASET", "BrightData", "UnansweredError"]

VIDEOS_DATASET = "gd_lk56epmy2i5g7lzu0k"  # YouTube videos
SOURCE = "Bright Data"
ATTEMPTS = 5
LONGEST_PAUSE = 60.0  # seconds between two attempts, whatever Retry-After says
MAX_ANSWER = 1_000_000  # bytes of an answer that is no snapshot
MAX_SNAPSHOT = 4_000_000_000  # bytes of JSON: a million rows
LONGEST_SNAPSHOT = 4 * 3_600.0  # seconds from its first byte to its last

_SNAPSHOT_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_FAILED = ("failed", "cancelled", "canceled")

State = Literal["waiting", "ready", "failed"]


class _PassingError(SourceError):
    """May pass; `retry_after` is what the server asked for, in seconds."""

    def __init__(self, doing: str, problem: str, *, retry_after: float | None = None) -> None:
        super().__init__("source_failed", transient=True, source=SOURCE, doing=doing, problem=problem)
        self.retry_after = retry_after


class UnansweredError(_PassingError):
    """No usable answer came, and the request may have been carried out all the same."""


class BrightData:
    """An async context manager around one HTTP client. Every wait between attempts goes through `sleep`."""

    def __init__(
        self,
        *,
        key: Secret,
        url: str = BRIGHT_DATA_API_URL,
        dataset_id: str = VIDEOS_DATASET,
        timeout_seconds: float = 30.0,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        check_secret_goes_safely("BRIGHT_DATA_API_URL", url)
        self.dataset_id = dataset_id
        self._key = key
        self._sleep = sleep
        self._timeout_seconds = timeout_seconds
        self._http = httpx.AsyncClient(
            base_url=url,
            headers={"authorization": f"Bearer {key.reveal()}", "accept": "application/json"},
            timeout=timeout_seconds,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def trigger(self, keywords: Sequence[str], *, limit: int, region: str | None = None) -> str:
        """Start a search for each keyword, at most `limit` videos each; returns the snapshot's id. It costs money.

        Tried again only when Bright Data has certainly not begun (no connection, 429). Raises SourceError; after
        an UnansweredError nobody here knows whether a snapshot was begun.
        """
        searches = [
            {"keyword": keyword, "num_of_posts": limit, **({"country": region} if region else {})}
            for keyword in keywords
        ]
        query = {
            "dataset_id": self.dataset_id,
            "type": "discover_new",
            "discover_by": "keyword",
            "format": "json",
            "include_errors": "true",
        }

        async def ask() -> Any:
            return await self._ask("trigger", "POST", "/datasets/v3/trigger", params=query, json=searches)

        answer = await self._persist(ask, again=lambda error: not isinstance(error, UnansweredError))
        snapshot_id = answer.get("snapshot_id") if isinstance(answer, Mapping) else None
        if not isinstance(snapshot_id, str) or not _SNAPSHOT_ID.fullmatch(snapshot_id):
            raise UnansweredError("trigger", "the answer names no snapshot")
        return snapshot_id

    async def progress(self, snapshot_id: str) -> State:
        """How far a snapshot is: `starting`, `running` and whatever is not known yet are waiting."""
        path = f"/datasets/v3/progress/{_checked(snapshot_id)}"

        async def ask() -> Any:
            return await self._ask("progress", "GET", path)

        answer = await self._persist(ask)
        status = answer.get("status") if isinstance(answer, Mapping) else None
        if not isinstance(status, str):
            raise SourceError("source_failed", source=SOURCE, doing="progress", problem="the answer has no status")
        return "failed" if status in _FAILED else "ready" if status == "ready" else "waiting"

    async def rows(self, snapshot_id: str) -> AsyncIterator[object]:
        """The rows of a snapshot that is ready, each a JSON value or NO_ROW, streamed.

        A stream that breaks begins anew, and the rows that were given already are passed over.
        """
        path = f"/datasets/v3/snapshot/{_checked(snapshot_id)}"
        given = 0
        for number in range(1, ATTEMPTS + 1):
            passed = 0
            try:
                async with self._answer("snapshot", "GET", path, params={"format": "json"}) as answer:
                    async for row in _rows_of(answer):
                        passed += 1
                        if passed > given:
                            given = passed
                            yield row
                return
            except _PassingError as error:
                if number == ATTEMPTS:
                    raise
                await self._sleep(_pause(error, number))

    async def _persist(
        self, ask: Callable[[], Awaitable[Any]], *, again: Callable[[BaseException], bool] = lambda error: True
    ) -> Any:
        retrying = AsyncRetrying(
            stop=stop_after_attempt(ATTEMPTS),
            retry=retry_if_exception(lambda error: isinstance(error, _PassingError) and again(error)),
            wait=lambda state: _pause(state.outcome and state.outcome.exception(), state.attempt_number),
            sleep=self._sleep,
            reraise=True,
        )
        return await retrying(ask)

    async def _ask(self, doing: str, method: str, path: str, **request: Any) -> Any:
        """One request and its whole answer, decoded."""
        try:
            # httpx limits each read; this limits their sum, against bytes that come one by one.
            async with asyncio.timeout(2 * self._timeout_seconds):
                async with self._answer(doing, method, path, **request) as answer:
                    body = await _short_body(answer)
        except TimeoutError as error:
            raise UnansweredError(doing, f"no whole answer in {2 * self._timeout_seconds:g} s") from error
        try:
            return from_json(body)
        except ValueError as error:
            raise UnansweredError(doing, "the answer is not JSON") from error

    @asynccontextmanager
    async def _answer(self, doing: str, method: str, path: str, **request: Any) -> AsyncIterator[httpx.Response]:
        """An answer of success, its body not yet read; everything else is an error of ours."""
        try:
            async with self._http.stream(method, path, **request) as answer:
                if not is_packed_once(answer.headers):
                    raise UnansweredError(doing, "the answer is packed twice")
                if answer.status_code == 429:
                    raise _PassingError(doing, "it asks to slow down (429)", retry_after=_retry_after(answer))
                if answer.status_code >= 500:
                    raise UnansweredError(doing, f"HTTP {answer.status_code}", retry_after=_retry_after(answer))
                if not answer.is_success:
                    said = (await _short_body(answer)).decode(errors="replace").strip()
                    said = said.replace(self._key.reveal(), "********")[:200]
                    raise SourceError(
                        "source_refused",
                        source=SOURCE,
                        doing=doing,
                        problem=f"HTTP {answer.status_code} {said}".strip(),
                    )
                yield answer
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise _PassingError(doing, "no connection") from error
        except httpx.TimeoutException as error:
            raise UnansweredError(doing, f"no answer in {self._timeout_seconds:g} s") from error
        except (httpx.TransportError, httpx.DecodingError) as error:
            raise UnansweredError(doing, f"the connection broke ({type(error).__name__})") from error


async def _rows_of(answer: httpx.Response) -> AsyncIterator[object]:
    if answer.status_code == 202:
        raise _PassingError("snapshot", "it is not ready", retry_after=_retry_after(answer))
    rows = JsonRows()
    length, ends_at = 0, asyncio.get_running_loop().time() + LONGEST_SNAPSHOT
    try:
        async for data in answer.aiter_bytes():
            length += len(data)
            if length > MAX_SNAPSHOT or asyncio.get_running_loop().time() > ends_at:
                raise SourceError("source_failed", source=SOURCE, doing="snapshot", problem="it does not end")
            for row in rows.feed(data):
                yield _a_row(row)
        for row in rows.close():
            yield _a_row(row)
    except BrokenRowsError as error:
        raise UnansweredError("snapshot", str(error)) from error


def _a_row(row: object) -> object:
    """The row; but Bright Data also answers 200 and {"status": "building", …} for what is not ready."""
    if isinstance(row, Mapping) and isinstance(row.get("status"), str) and not row.keys() - {"status", "message"}:
        raise _PassingError("snapshot", f"it is {row['status'][:40]}")
    return row


async def _short_body(answer: httpx.Response) -> bytes:
    body = b""
    async for data in answer.aiter_bytes():
        body += data
        if len(body) > MAX_ANSWER:
            return body[:MAX_ANSWER]
    return body


def _checked(snapshot_id: str) -> str:
    """It becomes part of an address."""
    if not _SNAPSHOT_ID.fullmatch(snapshot_id):
        raise SourceError("source_refused", source=SOURCE, doing="snapshot", problem=f"{snapshot_id!r:.80} is no id")
    return snapshot_id


def _retry_after(answer: httpx.Response) -> float | None:
    given = answer.headers.get("retry-after", "")
    return float(given) if given.isascii() and given.isdigit() and len(given) < 7 else None


def _pause(error: object, number: int) -> float:
    """Seconds before the next attempt: what the server asked for, or 1, 2, 4, 8 s; never more than a minute."""
    asked = getattr(error, "retry_after", None)
    return min(asked if asked is not None else 2.0 ** (number - 1), LONGEST_PAUSE)
