"""How endpoints, deliveries and attempts are shown."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from ..config import Secret
from .console import err, moment, out, print_json, say

if TYPE_CHECKING:
    from ..shorts.webhooks import WebhookAttempt, WebhookDelivery, WebhookEndpoint

DISABLED_TEXTS = {"gone": "webhook_gone", "failing": "webhook_given_up", "switched_off": "webhook_switched_off"}
STATE_TEXTS = {
    "scheduled": "webhook_scheduled",
    "delivered": "webhook_delivered",
    "dead": "webhook_dead",
}


def show_secret(endpoint: str, secret: Secret, *, as_json: bool, until: datetime | None = None) -> None:
    """The one time that a secret is shown: to stdout, so that a pipe can take it; the words about it to stderr."""
    if as_json:
        print_json({"id": endpoint, "secret": secret.reveal(), "previous_until": until})
    else:
        out.print(Text(say("webhook_secret", endpoint=endpoint, secret=secret.reveal())), soft_wrap=True)
    err.print(say("webhook_secret_once"), soft_wrap=True)
    if until is not None:
        err.print(say("webhook_secret_overlap", until=moment(until)), soft_wrap=True)


def print_attempt(endpoint: str, delivery: WebhookDelivery, attempt: WebhookAttempt, *, as_json: bool) -> None:
    if as_json:
        told = {
            "endpoint_id": endpoint,
            **delivery.model_dump(mode="json", include={"delivery_id", "webhook_id", "event_type", "state"}),
            **attempt.model_dump(mode="json"),
        }
        print(json.dumps(told, ensure_ascii=False), flush=True)
        return
    answer = attempt.error if attempt.status is None else f"HTTP {attempt.status}"
    line = say(
        "webhook_attempt",
        ended=moment(attempt.ended_at),
        webhook_id=delivery.webhook_id,
        event_type=delivery.event_type,
        attempt=attempt.attempt,
        answer=answer or "-",
        milliseconds="-" if attempt.duration_ms is None else attempt.duration_ms,
        state=say(STATE_TEXTS[delivery.state]),
    )
    out.print(Text(line), soft_wrap=True)


def endpoints_table(found: list[WebhookEndpoint]) -> Table:
    table = Table(title=say("webhooks_title"), title_justify="left")
    table.add_column(say("column_endpoint"), overflow="fold", min_width=36)
    table.add_column(say("column_url"), overflow="fold")
    table.add_column(say("column_events"), overflow="fold")
    table.add_column(say("column_state"), overflow="fold")
    table.add_column(say("column_last_success"), overflow="fold")
    for endpoint in found:
        table.add_row(
            endpoint.id,
            Text(endpoint.url if endpoint.description is None else f"{endpoint.url}\n{endpoint.description}"),
            Text("\n".join(endpoint.event_types)),
            state_text(endpoint),
            moment(endpoint.last_success_at) if endpoint.last_success_at else "",
        )
    return table


def state_text(endpoint: WebhookEndpoint) -> str:
    """On, or why not; a reason that is not known here stays as it came."""
    if endpoint.disabled_at is not None:
        reason = endpoint.disabled_reason or ""
        why = say(DISABLED_TEXTS[reason]) if reason in DISABLED_TEXTS else reason
        return say("webhook_off", why=why, since=moment(endpoint.disabled_at))
    if endpoint.entitled_until is not None and endpoint.entitled_until <= datetime.now(UTC):
        return say("webhook_not_entitled", since=moment(endpoint.entitled_until))
    if endpoint.failing_since is not None:
        return say("webhook_failing", since=moment(endpoint.failing_since))
    return say("webhook_on")


def log_table(deliveries: list[WebhookDelivery]) -> Table:
    table = Table(title=say("webhook_log_title"), title_justify="left")
    table.add_column(say("column_when"), no_wrap=True)
    table.add_column(say("column_webhook_id"), overflow="fold")
    table.add_column(say("column_event"), overflow="fold")
    table.add_column(say("column_state"), overflow="fold")
    table.add_column(say("column_attempts"), justify="right")
    table.add_column(say("column_answer"), overflow="fold")
    for delivery in deliveries:
        answer = delivery.last_error if delivery.last_status is None else f"HTTP {delivery.last_status}"
        table.add_row(
            moment(delivery.created_at),
            delivery.webhook_id,
            Text(delivery.event_type),
            say(STATE_TEXTS[delivery.state]),
            str(delivery.attempt),
            Text(answer or ""),
        )
    return table
