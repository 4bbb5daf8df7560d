"""Two who look after webhook endpoints, in one form: the operator with the secret key, a person with their own."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

import typer

from ..errors import OndolError
from ..shorts.api import ShortsApi
from ..shorts.webhooks import (
    NewWebhook,
    RotatedWebhook,
    TestedWebhook,
    WebhookEndpoint,
    WebhookLog,
    new_webhook_secret,
)
from .console import say


class Owner(Protocol):
    """What a command asks; each raises NotFoundError for an endpoint that is not theirs."""

    async def endpoints(self) -> list[WebhookEndpoint]: ...

    async def add(
        self, url: str, events: Sequence[str], *, description: str | None, allow_private: bool
    ) -> NewWebhook: ...

    async def test(self, endpoint: str) -> TestedWebhook: ...

    async def rotate(self, endpoint: str, *, overlap_seconds: int) -> RotatedWebhook: ...

    async def replay(
        self,
        endpoint: str | None,
        *,
        since: datetime | None,
        until: datetime | None,
        delivery_ids: Sequence[str] | None,
    ) -> int: ...

    async def log(self, endpoint: str, *, limit: int, before: datetime | None) -> WebhookLog: ...

    async def switch(self, endpoint: str, *, is_enabled: bool) -> WebhookEndpoint: ...

    async def remove(self, endpoint: str) -> None: ...


class Operator:
    """Every endpoint, also those of people."""

    def __init__(self, api: ShortsApi) -> None:
        self.api = api

    async def endpoints(self) -> list[WebhookEndpoint]:
        return await self.api.list_webhook_endpoints()

    async def add(self, url: str, events: Sequence[str], *, description: str | None, allow_private: bool) -> NewWebhook:
        # Registering an address again would replace the secret that its receiver knows.
        for endpoint in await self.api.list_webhook_endpoints():
            if endpoint.user_id is None and endpoint.url == url:
                raise OndolError("webhook_known", url=url, endpoint=endpoint.id)
        secret = new_webhook_secret()
        made = await self.api.register_webhook_endpoint(
            url, secret=secret, event_types=events, allow_private=allow_private
        )
        if description is not None:
            await self.api.set_webhook_endpoint(made, is_enabled=True, description=description)
        return NewWebhook(id=made, secret=secret)

    async def test(self, endpoint: str) -> TestedWebhook:
        return await self.api.test_webhook_endpoint(endpoint)

    async def rotate(self, endpoint: str, *, overlap_seconds: int) -> RotatedWebhook:
        return await self.api.rotate_webhook_secret(endpoint, overlap_seconds=overlap_seconds)

    async def replay(
        self,
        endpoint: str | None,
        *,
        since: datetime | None,
        until: datetime | None,
        delivery_ids: Sequence[str] | None,
    ) -> int:
        return await self.api.replay_webhook_deliveries(endpoint, since=since, until=until, delivery_ids=delivery_ids)

    async def log(self, endpoint: str, *, limit: int, before: datetime | None) -> WebhookLog:
        return await self.api.webhook_log(endpoint, limit=limit, before=before)

    async def switch(self, endpoint: str, *, is_enabled: bool) -> WebhookEndpoint:
        return await self.api.set_webhook_endpoint(endpoint, is_enabled=is_enabled)

    async def remove(self, endpoint: str) -> None:
        if not await self.api.remove_webhook_endpoint(endpoint):
            raise OndolError("webhook_unknown", endpoint=endpoint)


class Person:
    """One's own endpoints."""

    def __init__(self, api: ShortsApi) -> None:
        self.api = api

    async def endpoints(self) -> list[WebhookEndpoint]:
        return await self.api.my_webhooks()

    async def add(self, url: str, events: Sequence[str], *, description: str | None, allow_private: bool) -> NewWebhook:
        if allow_private:
            raise typer.BadParameter(say("webhooks_operators_option", option="--allow-private"))
        return await self.api.add_my_webhook(url, event_types=events, description=description)

    async def test(self, endpoint: str) -> TestedWebhook:
        return await self.api.test_my_webhook(endpoint)

    async def rotate(self, endpoint: str, *, overlap_seconds: int) -> RotatedWebhook:
        return await self.api.rotate_my_webhook_secret(endpoint, overlap_seconds=overlap_seconds)

    async def replay(
        self,
        endpoint: str | None,
        *,
        since: datetime | None,
        until: datetime | None,
        delivery_ids: Sequence[str] | None,
    ) -> int:
        if until is not None or delivery_ids is not None:
            raise typer.BadParameter(say("webhooks_operators_option", option="--until, --delivery"))
        if endpoint is None:
            raise typer.BadParameter(say("webhooks_name_one"))
        return await self.api.replay_my_webhooks(endpoint, since=since)

    async def log(self, endpoint: str, *, limit: int, before: datetime | None) -> WebhookLog:
        return await self.api.my_webhook_log(endpoint, limit=limit, before=before)

    async def switch(self, endpoint: str, *, is_enabled: bool) -> WebhookEndpoint:
        return await self.api.set_my_webhook(endpoint, is_enabled=is_enabled)

    async def remove(self, endpoint: str) -> None:
        if not await self.api.remove_my_webhook(endpoint):
            raise OndolError("webhook_unknown", endpoint=endpoint)
