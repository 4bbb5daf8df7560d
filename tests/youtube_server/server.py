"""The mock server: it holds made-up resources, counts every call that reached it and plays faults in order."""

from __future__ import annotations

import asyncio
import copy
import json
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from aiohttp import web

RESOURCES = Path(__file__).parent / "resources"
KEY = "made-up-key"
PAGE = 50


def resource(name: str) -> dict[str, Any]:
    """A fresh copy of one of the files in resources/."""
    read: dict[str, Any] = json.loads((RESOURCES / f"{name}.json").read_text(encoding="utf-8"))
    return read


ERRORS = resource("errors")


@dataclass(frozen=True)
class Fault:
    """What one call meets instead of an answer. `error` names an entry of errors.json; `body` is sent as it is.

    `cut` ends the connection after that many bytes of the true answer, `wait` answers late, `change` edits the answer.
    """

    error: str | None = None
    retry_after: str | None = None
    body: bytes | None = None
    status: int = 200
    cut: int | None = None
    wait: float = 0.0
    change: Callable[[dict[str, Any]], Any] | None = None


@dataclass(frozen=True)
class Call:
    """One call that reached the server."""

    path: str
    query: dict[str, str]
    key: str | None

    @property
    def ids(self) -> list[str]:
        return self.query["id"].split(",")


@dataclass
class YouTubeServer:
    """An async context manager that serves until it is left; `url` is what YOUTUBE_API_URL must say.

    Every answer comes after `delay` seconds; `reached` is set by each call.
    """

    videos: dict[str, dict[str, Any]] = field(default_factory=dict)
    channels: dict[str, dict[str, Any]] = field(default_factory=dict)
    searches: dict[str, list[str]] = field(default_factory=dict)
    faults: deque[Fault | None] = field(default_factory=deque)
    calls: list[Call] = field(default_factory=list)
    delay: float = 0.0
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    url: str = ""

    def add_video(self, video_id: str, **parts: dict[str, Any]) -> dict[str, Any]:
        """A playable Short; `parts` are laid over the file's, part by part."""
        made = resource("video")
        made["id"] = video_id
        for name, part in parts.items():
            made[name] = {**made[name], **part}
        self.videos[video_id] = made
        return made

    def add_channel(self, channel_id: str, **parts: dict[str, Any]) -> None:
        made = resource("channel")
        made["id"] = channel_id
        for name, part in parts.items():
            made[name] = {**made[name], **part}
        self.channels[channel_id] = made

    def counted(self, path: str) -> int:
        """How many calls of /`path` reached the server."""
        return sum(call.path == path for call in self.calls)

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_get("/youtube/v3/{path}", self._answer)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        port = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{port}/youtube/v3"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        call = Call(request.match_info["path"], dict(request.query), request.headers.get("X-goog-api-key"))
        self.calls.append(call)
        self.reached.set()
        fault = (self.faults.popleft() if self.faults else None) or Fault()
        await asyncio.sleep(self.delay + fault.wait)
        if fault.body is not None:
            return web.Response(body=fault.body, status=fault.status, content_type="application/json")
        if call.key != KEY:
            return _error("keyInvalid", None)
        if fault.error is not None:
            return _error(fault.error, fault.retry_after)
        answer: Any = self._listed(call)
        if answer is None:
            return _error("invalidPageToken", None)
        if fault.change is not None:
            answer = fault.change(copy.deepcopy(answer))
        if fault.cut is not None:
            return await _cut(request, json.dumps(answer).encode(), fault.cut)
        return web.json_response(answer)

    def _listed(self, call: Call) -> dict[str, Any] | None:
        if call.path == "search":
            ids = self.searches.get(call.query["q"], [])
            return _paged("youtube#searchListResponse", [_search_result(item) for item in ids], call)
        if call.path == "videos" and call.query.get("chart") == "mostPopular":
            return _paged("youtube#videoListResponse", list(self.videos.values()), call)
        if call.path == "videos":
            return _page("youtube#videoListResponse", _those(call.ids, self.videos), None)
        if call.path == "channels":
            answer = _page("youtube#channelListResponse", _those(call.ids, self.channels), None)
            if not answer["items"]:
                del answer["items"]  # so does YouTube
            return answer
        if call.path == "videoCategories":
            return _page("youtube#videoCategoryListResponse", [resource("category")], None)
        return None


def _those(ids: Iterable[str], known: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    return [known[item] for item in dict.fromkeys(ids) if item in known]


def _search_result(video_id: str) -> dict[str, Any]:
    made = resource("search_result")
    made["id"]["videoId"] = video_id
    return made


def _paged(kind: str, items: list[dict[str, Any]], call: Call) -> dict[str, Any] | None:
    token = call.query.get("pageToken", "P0")
    if not (token.startswith("P") and token[1:].isdigit()):
        return None
    begin = int(token[1:])
    more = begin + PAGE < len(items)
    return _page(kind, items[begin : begin + PAGE], f"P{begin + PAGE}" if more else None, total=len(items))


def _page(kind: str, items: list[dict[str, Any]], token: str | None, total: int | None = None) -> dict[str, Any]:
    page = {
        "kind": kind,
        "etag": "made-up-etag",
        "items": items,
        "pageInfo": {"totalResults": len(items) if total is None else total, "resultsPerPage": PAGE},
    }
    return page if token is None else {**page, "nextPageToken": token}


def _error(name: str, retry_after: str | None) -> web.Response:
    entry = ERRORS[name]
    reason = entry.get("reason", name)
    body = {
        "error": {
            "code": entry["code"],
            "message": entry["message"],
            "errors": [{"message": entry["message"], "domain": "youtube.quota", "reason": reason}],
        }
    }
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    return web.json_response(body, status=entry["code"], headers=headers)


async def _cut(request: web.Request, body: bytes, length: int) -> web.StreamResponse:
    """Promise the whole body, send its beginning and hang up."""
    response = web.StreamResponse(headers={"Content-Length": str(len(body)), "Content-Type": "application/json"})
    await response.prepare(request)
    await response.write(body[:length])
    if request.transport is not None:
        request.transport.close()
    return response
