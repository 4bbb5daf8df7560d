"""Webhook endpoints: who is told of which events, and what became of each attempt. See docs/webhooks.md.

With the secret key the operator looks after every endpoint; who is premium looks after their own, by the methods with
`my` in their names. An endpoint that is unknown, or somebody else's, is a NotFoundError (PT404).
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal

from pydantic import PlainSerializer, PlainValidator

from ..config import Secret
from .calls import Caller, Row, checked

__all__ = [
    "NewWebhook",
    "RotatedWebhook",
    "TestedWebhook",
    "WebhookAttempt",
    "WebhookDelivery",
    "WebhookEndpoint",
    "WebhookLog",
    "WebhooksApi",
    "new_webhook_secret",
]

TREND_DETECTED = ("trend.detected",)
DAY_SECONDS = 86_400


def _secret(value: object) -> Secret:
    if isinstance(value, Secret):
        return value
    if not isinstance(value, str):
        raise ValueError("a secret is a text")
    return Secret(value)


ShownOnce = Annotated[Secret, PlainValidator(_secret), PlainSerializer(str)]  # as JSON too it is stars


class WebhookEndpoint(Row):
    """Who is told; `user_id` is None for the operator's own.

    `entitled_until` is when its owner's tier ends. `failing_since` is the first failure after the last success; five
    days of it disable the endpoint. Until `previous_secret_until` the secret before signs too.
    """

    id: str
    user_id: str | None = None
    url: str
    description: str | None = None
    event_types: list[str]
    allow_private: bool = False
    entitled_until: datetime | None = None
    disabled_at: datetime | None = None
    disabled_reason: str | None = None
    failing_since: datetime | None = None
    last_success_at: datetime | None = None
    previous_secret_until: datetime | None = None
    created_at: datetime


class NewWebhook(Row):
    """A new endpoint; its secret is told now and never again."""

    id: str
    secret: ShownOnce


class RotatedWebhook(NewWebhook):
    """The new secret; until `previous_until` every message is signed with the one before too."""

    previous_until: datetime | None = None


class TestedWebhook(Row):
    """The event `webhook.test` on its way; `webhook_id` is what the receiver sees."""

    __test__ = False  # not for pytest

    delivery_id: str
    webhook_id: str


class WebhookAttempt(Row):
    """One request: the answer's HTTP status, or the error that came instead of an answer."""

    attempt: int
    status: int | None = None
    error: str | None = None
    duration_ms: int | None = None
    ended_at: datetime


class WebhookDelivery(Row):
    """One event on its way to one endpoint, with its attempts."""

    delivery_id: str
    webhook_id: str
    event_type: str
    created_at: datetime
    state: Literal["scheduled", "delivered", "dead"]
    attempt: int
    next_attempt_at: datetime | None = None
    last_status: int | None = None
    last_error: str | None = None
    attempts: list[WebhookAttempt]


class WebhookLog(Row):
    """Deliveries, newest first; give `next_before` as `before` to go on, None is the end."""

    deliveries: list[WebhookDelivery]
    next_before: datetime | None = None


def new_webhook_secret() -> Secret:
    """A secret of Standard Webhooks: `whsec_` and base64 of 32 random bytes."""
    return Secret("whsec_" + base64.b64encode(secrets.token_bytes(32)).decode())


class WebhooksApi(Caller):
    """The part of `ShortsApi` that looks after webhook endpoints."""

    async def list_webhook_endpoints(self) -> list[WebhookEndpoint]:
        """Every endpoint. For the service."""
        return await self._call("list_webhook_endpoints", {}, answer=list[WebhookEndpoint])

    async def register_webhook_endpoint(
        self,
        url: str,
        *,
        secret: Secret,
        event_types: Sequence[str] = TREND_DETECTED,
        allow_private: bool = False,
    ) -> str:
        """Tell `url` of events; returns the endpoint's id. For the service.

        A url that the operator registered before gets this secret at once, without an overlap. `allow_private` also
        takes http and addresses of one's own network. Raises InvalidRequestError (PT400) for a url or secret that
        cannot be taken.
        """
        arguments = {
            "url": url,
            "secret": secret.reveal(),
            "event_types": list(event_types),
            "allow_private": allow_private,
        }
        return await self._call("register_webhook_endpoint", arguments, answer=str)

    async def rotate_webhook_secret(
        self, endpoint_id: str, *, secret: Secret | None = None, overlap_seconds: int = DAY_SECONDS
    ) -> RotatedWebhook:
        """Sign with a new secret, and with the old one too for `overlap_seconds`. For the service."""
        arguments = {
            "endpoint_id": endpoint_id,
            "secret": None if secret is None else secret.reveal(),
            "overlap_seconds": overlap_seconds,
        }
        return await self._call("rotate_webhook_secret", arguments, answer=RotatedWebhook)

    async def test_webhook_endpoint(self, endpoint_id: str) -> TestedWebhook:
        """Send the event `webhook.test` to one endpoint. For the service."""
        return await self._call("test_webhook_endpoint", {"endpoint_id": endpoint_id}, answer=TestedWebhook)

    async def set_webhook_endpoint(
        self, endpoint_id: str, *, is_enabled: bool, description: str | None = None
    ) -> WebhookEndpoint:
        """Switch an endpoint on or off; without `description` the old one stays. For the service."""
        arguments = {"endpoint_id": endpoint_id, "is_enabled": is_enabled, "description": description}
        return await self._call("set_webhook_endpoint", arguments, answer=WebhookEndpoint)

    async def remove_webhook_endpoint(self, endpoint_id: str) -> bool:
        """Remove an endpoint with its secret and log; False when there was none. For the service."""
        return await self._call("remove_webhook_endpoint", {"endpoint_id": endpoint_id}, answer=bool)

    async def webhook_log(self, endpoint_id: str, *, limit: int = 50, before: datetime | None = None) -> WebhookLog:
        """What was sent to an endpoint, and what became of it. For the service."""
        return await self._call("webhook_log", _page(endpoint_id, limit, before), answer=WebhookLog)

    async def replay_webhook_deliveries(
        self,
        endpoint_id: str | None = None,
        *,
        delivery_ids: Sequence[str] | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> int:
        """Send dead deliveries again under the same webhook ids, at most 1,000; returns how many. For the service.

        `since` and `until` bound when they died; nothing given means all of them.
        """
        arguments = {
            "endpoint_id": endpoint_id,
            "delivery_ids": None if delivery_ids is None else list(delivery_ids),
            "since": _written(since),
            "until": _written(until),
        }
        return await self._call("replay_webhook_deliveries", arguments, answer=int)

    async def my_webhooks(self) -> list[WebhookEndpoint]:
        """One's own endpoints, oldest first."""
        query = self.client.supabase.table("webhook_endpoints").select(",".join(WebhookEndpoint.model_fields))
        rows = await self.client.run("webhook_endpoints", query.order("created_at").execute())
        return checked(rows, list[WebhookEndpoint], "webhook_endpoints")

    async def add_my_webhook(
        self, url: str, *, event_types: Sequence[str] = TREND_DETECTED, description: str | None = None
    ) -> NewWebhook:
        """Tell `url` of events as long as one is premium; at most 10 endpoints a person."""
        arguments = {"url": url, "event_types": list(event_types), "description": description}
        return await self._call("add_my_webhook", arguments, answer=NewWebhook)

    async def rotate_my_webhook_secret(self, endpoint_id: str, *, overlap_seconds: int = DAY_SECONDS) -> RotatedWebhook:
        """Sign with a new secret, and with the old one too for `overlap_seconds`."""
        arguments = {"endpoint_id": endpoint_id, "overlap_seconds": overlap_seconds}
        return await self._call("rotate_my_webhook_secret", arguments, answer=RotatedWebhook)

    async def test_my_webhook(self, endpoint_id: str) -> TestedWebhook:
        """Send the event `webhook.test` to one's own endpoint."""
        return await self._call("test_my_webhook", {"endpoint_id": endpoint_id}, answer=TestedWebhook)

    async def set_my_webhook(self, endpoint_id: str, *, is_enabled: bool) -> WebhookEndpoint:
        """Switch one's own endpoint on or off."""
        arguments = {"endpoint_id": endpoint_id, "is_enabled": is_enabled}
        return await self._call("set_my_webhook", arguments, answer=WebhookEndpoint)

    async def remove_my_webhook(self, endpoint_id: str) -> bool:
        """Remove one's own endpoint with its secret and log."""
        return await self._call("remove_my_webhook", {"endpoint_id": endpoint_id}, answer=bool)

    async def my_webhook_log(self, endpoint_id: str, *, limit: int = 50, before: datetime | None = None) -> WebhookLog:
        """What was sent to one's own endpoint, and what became of it."""
        return await self._call("my_webhook_log", _page(endpoint_id, limit, before), answer=WebhookLog)

    async def replay_my_webhooks(self, endpoint_id: str, *, since: datetime | None = None) -> int:
        """Send one's own dead deliveries again under the same webhook ids; returns how many."""
        arguments = {"endpoint_id": endpoint_id, "since": _written(since)}
        return await self._call("replay_my_webhooks", arguments, answer=int)


def _page(endpoint_id: str, limit: int, before: datetime | None) -> dict[str, object]:
    return {"endpoint_id": endpoint_id, "limit": limit, "before": _written(before)}


def _written(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
