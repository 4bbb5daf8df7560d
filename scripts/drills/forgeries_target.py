"""What the forgery drill attacks: every handler of functions/, in memory, and a genuine request for each."""

from __future__ import annotations

import asyncio
import base64
import functools
import hashlib
import hmac
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from starlette.applications import Starlette

from app.shorts.batches import Ingested
from functions.room import Room
from functions.server import create_app
from functions.settings import Settings

NOW = 1_790_000_000  # Unix seconds: the drill has its own clock
LONGEST = 5.0  # seconds for one answer; a handler that takes more hangs
TOKEN = "bright-data-token-0123456789"  # noqa: S105 -- of this drill alone


def made_secret(seed: int) -> str:
    return "whsec_" + base64.b64encode(hashlib.sha256(str(seed).encode()).digest()).decode()


SECRET, RETIRED, STRANGER = made_secret(1), made_secret(2), made_secret(3)
Headers = dict[str, bytes]


@dataclass(frozen=True)
class Message:
    """A request as ASGI has it; the body comes in `parts` pieces."""

    path: str
    headers: Headers
    body: bytes
    method: str = "POST"
    more_headers: tuple[tuple[bytes, bytes], ...] = ()
    parts: int = 1
    hangs_up: bool = False


def signature(secret: str, webhook_id: bytes, timestamp: bytes, body: bytes, digest: str = "sha256") -> bytes:
    """`v1,…` as the text of Standard Webhooks says, without the library that the handlers use."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    return b"v1," + base64.b64encode(hmac.new(key, webhook_id + b"." + timestamp + b"." + body, digest).digest())


def signed(
    message: Message, *, secrets: Sequence[str] = (SECRET,), at: int = NOW, webhook_id: str = "msg_1"
) -> Message:
    """The message with the headers of a sender that holds `secrets`, newest first."""
    name, time = webhook_id.encode(), str(at).encode()
    headers = {
        "webhook-id": name,
        "webhook-timestamp": time,
        "webhook-signature": b" ".join(signature(secret, name, time, message.body) for secret in secrets),
    }
    return replace(message, headers=message.headers | headers)


def of_trend(event_type: str) -> bytes:
    data = {
        "id": "0b7c0f2e-6a52-4d5e-9a39-0d4f3f1f2a11",
        "keyword": "두바이쫀득쿠키",
        "region_code": "KR",
        "trend_score": 0.93,
        "detected_at": "2026-09-21T13:00:00+00:00",
    }
    return as_json({"type": event_type, "timestamp": "2026-09-21T13:33:20Z", "data": data})


def as_json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


@functools.cache
def genuine_bodies() -> dict[str, bytes]:
    """A body that each handler takes."""
    video = {
        "id": "dQw4w9WgXcQ",
        "snippet": {"title": "김치 담그는 법", "channelId": "UCx", "publishedAt": "2026-07-10T03:15:00Z"},
        "contentDetails": {"duration": "PT1M5S"},
        "status": {"embeddable": True, "privacyStatus": "public", "uploadStatus": "processed"},
    }
    observed = {
        "keyword": "두바이쫀득쿠키",
        "region_code": "KR",
        "data_source": "bright_data",
        "trend_score": 0.9,
        "observed_at": "2026-09-21T13:00:00Z",
    }
    analysed = {
        "video_id": "dQw4w9WgXcQ",
        "analysis": {"categories": ["food"], "keywords": ["김치"], "emotions": {"joy": 0.5}},
    }
    event = {"timestamp": "2026-09-21T13:33:20Z"}
    return {
        "notify-trend": of_trend("trend.detected"),
        "trend-update": of_trend("trend.updated"),
        "youtube-videos": as_json({"items": [video]}),
        "trends": as_json(event | {"type": "trends.observed", "data": {"trends": [observed]}}),
        "ai-analysis": as_json(event | {"type": "video.analyzed", "data": analysed}),
        "bright-data": as_json([{"url": "https://www.youtube.com/shorts/dQw4w9WgXcQ", "title": "김치"}]),
    }


HANDLERS = tuple(genuine_bodies())
SIGNED = tuple(name for name in HANDLERS if name != "bright-data")  # Bright Data signs nothing: it knows a token


def genuine(name: str) -> Message:
    """A request that the handler takes; unsigned still."""
    headers = {"content-type": b"application/json"}
    if name == "bright-data":
        headers["authorization"] = f"Bearer {TOKEN}".encode()
    return Message(path=f"/webhooks/{name}", headers=headers, body=genuine_bodies()[name])


class Effects:
    """Stands for the database: takes everything, and counts what it was asked for."""

    def __init__(self) -> None:
        self.count = 0

    async def receive(self, webhook_id: str, *, event: dict[str, Any]) -> bool:
        self.count += 1
        await asyncio.sleep(0)
        return False

    async def open(self) -> Room:
        return self

    def taken(self, rows: Sequence[Any]) -> Ingested:
        self.count += 1
        return Ingested(received=len(rows), inserted=len(rows), updated=0, unchanged=0, rejected=[])

    async def ingest_videos(self, videos: Sequence[Any], /) -> Ingested:
        return self.taken(videos)

    async def ingest_keyword_signals(self, signals: Sequence[Any], /) -> Ingested:
        return self.taken(signals)

    async def upsert_trending_keywords(self, trends: Sequence[Any], /) -> Ingested:
        return self.taken(trends)

    async def known_videos(self, video_ids: Sequence[str], /) -> set[str]:
        return set()

    async def queue_videos(self, videos: Sequence[Any], /) -> None:
        self.count += 1

    async def set_ai_analysis(self, video_id: str, /, **given: Any) -> bool:
        self.count += 1
        return True


class Target:
    """The handlers with `secrets`; `now` is their clock, `effects` what they did."""

    def __init__(self, *secrets: str) -> None:
        self.now: float = NOW
        self.effects = Effects()
        self.app = self.built(secrets or (SECRET,))

    def built(self, secrets: Sequence[str]) -> Starlette:
        believed = tuple(secrets)
        settings = Settings(
            supabase_url="https://abc.supabase.co",
            supabase_secret_key="k",  # noqa: S106 -- nobody is asked
            webhook_secrets=believed,
            update_secrets=believed,
            youtube_secrets=believed,
            trends_secrets=believed,
            ai_secrets=believed,
            bright_data_tokens=(TOKEN,),
        )
        effects = self.effects
        return create_app(settings, receive=effects.receive, open_room=effects.open, clock=lambda: self.now)

    def restart(self, *secrets: str) -> None:
        """What is being answered goes on as it was; what comes next meets the new secrets."""
        self.app = self.built(secrets)

    async def ask(self, message: Message) -> int:
        """The status of the answer; 500 for an exception, 599 for one that takes too long or never comes."""
        size = max(1, -(-len(message.body) // message.parts))
        pieces = [message.body[place : place + size] for place in range(0, len(message.body), size)] or [b""]
        statuses: list[int] = []

        async def receive() -> dict[str, Any]:
            if pieces:
                piece = pieces.pop(0)
                return {"type": "http.request", "body": piece, "more_body": bool(pieces) or message.hangs_up}
            return {"type": "http.disconnect"}

        async def send(answer: Any) -> None:
            if answer["type"] == "http.response.start":
                statuses.append(answer["status"])

        headers = [(name.encode("latin-1"), value) for name, value in message.headers.items()]
        scope = {
            "type": "http",
            "method": message.method,
            "path": message.path,
            "query_string": b"",
            "headers": [*headers, *message.more_headers],
        }
        try:
            async with asyncio.timeout(LONGEST):
                await self.app(scope, receive, send)
        except TimeoutError:
            return 599
        except Exception:  # what Starlette answers with 500, it raises as well
            return 500
        return statuses[0] if statuses else 599
