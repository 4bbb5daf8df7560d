"""A sender of our own: signs as the text of Standard Webhooks says, without the library that the handler uses."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
OTHER_SECRET = "whsec_" + base64.b64encode(bytes(range(100, 132))).decode()
NOW = 1_790_000_000


def signature(webhook_id: str, timestamp: int | str, body: bytes, *, secret: str = SECRET) -> str:
    signed = f"{webhook_id}.{timestamp}.".encode() + body
    digest = hmac.new(base64.b64decode(secret.removeprefix("whsec_")), signed, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


def signed_headers(
    body: bytes, *, webhook_id: str = "msg_1", timestamp: int | str = NOW, secret: str = SECRET
) -> dict[str, str]:
    return {
        "content-type": "application/json",
        "webhook-id": webhook_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signature(webhook_id, timestamp, body, secret=secret),
    }


def update_body(**changes: Any) -> bytes:
    """A trend.updated event as bytes; `changes` replace fields of its data."""
    told = {"id": "0b7c0f2e-6a52-4d5e-9a39-0d4f3f1f2a11", "detected_at": "2026-09-21T13:00:00+00:00"}
    return trend_body("trend.updated", **(told | {"previous_score": 0.7, "change": "updated"} | changes))


def trend_body(event_type: str = "trend.detected", /, **changes: Any) -> bytes:
    """An event of a trend as bytes; `changes` replace fields of its data."""
    data = {"keyword": "두바이쫀득쿠키", "region_code": "KR", "trend_score": 0.93, "growth_rate": 11.5} | changes
    event = {"type": event_type, "timestamp": "2026-09-21T13:33:20+00:00", "data": data}
    return json.dumps(event, ensure_ascii=False).encode()
