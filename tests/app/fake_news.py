"""The news of trends without a database: answers `trends_since` as the backend does, and tells of them by Realtime."""

from __future__ import annotations

import json
from typing import Any

import httpx

from app.client import Client
from app.config import Secret, Settings

from .fake_realtime import FakeRealtime


class FakeNews:
    """`kept` are trends in the order of their cursors; `failures` is how many of the next calls end with 503.

    `tiers` is what `user_tiers` answers, `hidden` how many of the newest a query does not see yet.
    """

    def __init__(self, trend: dict[str, Any], *, page: int = 100) -> None:
        self.trend = trend
        self.page = page
        self.kept: list[dict[str, Any]] = []
        self.newest = 0
        self.asked: list[int | None] = []
        self.failures = 0
        self.hidden = 0
        self.tiers: list[dict[str, Any]] = []

    def add(self, **values: Any) -> dict[str, Any]:
        self.newest += 1
        row = {**self.trend, "keyword": f"trend {self.newest}", **values, "cursor": self.newest, "change": "inserted"}
        self.kept.append(row)
        return row

    def forget(self, up_to: int) -> None:
        self.kept = [row for row in self.kept if row["cursor"] > up_to]

    async def tell(self, server: FakeRealtime, topic: str = "trends", **values: Any) -> dict[str, Any]:
        row = self.add(**values)
        await server.broadcast(topic, "trend", row)
        return row

    def answer(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/rest/v1/user_tiers":
            return httpx.Response(200, json=self.tiers)
        assert request.url.path == "/rest/v1/rpc/trends_since"
        if self.failures:
            self.failures -= 1
            return httpx.Response(503, json={"message": "not today"})
        asked = json.loads(request.content)
        self.asked.append(asked["cursor"])
        newest = self.newest - self.hidden
        since = newest if asked["cursor"] is None else min(asked["cursor"], newest)
        seen = [row for row in self.kept if since < row["cursor"] <= newest]
        page = seen[: self.page]
        answer = {
            "trends": page,
            "cursor": page[-1]["cursor"] if page else since,
            "newest": newest,
            "is_complete": page == seen,
            "missed": (bool(seen) and seen[0]["cursor"] > since + 1) or (asked["cursor"] or 0) > newest,
        }
        return httpx.Response(200, json=answer)


class NewsClient(Client):
    """A client whose HTTP is answered by `news` and whose Realtime is `server`; `token` is who is signed in."""

    def __init__(self, server: FakeRealtime, news: FakeNews, *, secret: bool = False, token: str | None = None) -> None:
        settings = Settings(server.url, Secret("sb_publishable_x"), secret_key=Secret("sb_secret_y"), timeout_seconds=2)
        self._http = httpx.AsyncClient(transport=httpx.MockTransport(news.answer))
        self._token = token
        super().__init__(settings, key=settings.secret_key if secret else None, http=self._http)

    async def access_token(self) -> str | None:
        return self._token

    async def __aexit__(self, *error: Any) -> None:
        await super().__aexit__(*error)
        await self._http.aclose()
