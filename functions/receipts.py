"""Records a genuine event in the database: the receipt and its effect in one transaction, once per webhook id.

ReceiptError
├── Unavailable  503  nobody knows yet whether it was kept; the sender should try again
└── Refused      400  the database will never take this event
"""

from __future__ import annotations

import asyncio
from typing import Any

import httpx

TIMEOUT = 5.0  # seconds for the whole call; senders wait at least 10
RECORDED_BY = {"trend.detected": "receive_trend_event", "trend.updated": "receive_trend_update"}
REFUSALS = {400, 413, 422}  # any other answer is about this handler's key or the service, not about the event


class ReceiptError(Exception):
    """The event was not recorded."""


class Unavailable(ReceiptError):  # noqa: N818
    """The database could not be asked, or did not answer as agreed."""


class Refused(ReceiptError):  # noqa: N818
    """The database refuses the content of the event."""


class Receipts:
    """The functions of one Supabase project that take events, called with a secret key."""

    def __init__(
        self, url: str, *, secret_key: str, transport: httpx.AsyncBaseTransport | None = None, timeout: float = TIMEOUT
    ) -> None:
        self._timeout = timeout
        self._client = httpx.AsyncClient(
            base_url=url,
            headers={"apikey": secret_key},  # no Authorization: an sb_secret_ key is not a JWT
            timeout=timeout,
            transport=transport,
            trust_env=False,  # a proxy from the environment has no business with the secret key
        )

    async def receive(self, webhook_id: str, *, event: dict[str, Any]) -> bool:
        """Record `event`, of a type in RECORDED_BY; True when this webhook id was recorded before."""
        function = RECORDED_BY[event["type"]]
        try:
            # httpx limits each read and write; this limits their sum.
            async with asyncio.timeout(self._timeout):
                answer = await self._client.post(
                    f"/rest/v1/rpc/{function}", json={"webhook_id": webhook_id, "event": event}
                )
        except (httpx.HTTPError, TimeoutError) as error:
            raise Unavailable(f"The database did not answer: {type(error).__name__}.") from error
        if answer.status_code in REFUSALS:
            raise Refused(describe(answer))
        if not answer.is_success:
            raise Unavailable(describe(answer))
        try:
            duplicate = answer.json()["duplicate"]
        except (ValueError, KeyError, TypeError) as error:
            raise Unavailable(f"The database answered something else than {function}.") from error
        return duplicate is True

    async def close(self) -> None:
        await self._client.aclose()


def describe(answer: httpx.Response) -> str:
    """One line about an error answer of the Data API: its status, code and message."""
    try:
        problem = answer.json()
    except ValueError:
        problem = None
    if not isinstance(problem, dict):
        return f"The Data API answered {answer.status_code}."
    return f"The Data API answered {answer.status_code} {problem.get('code')}: {problem.get('message')}"
