"""Following what is sent: the log has no stream, so it is read again and again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime
from typing import TYPE_CHECKING

from ..errors import OndolError
from .console import complain, err, say

if TYPE_CHECKING:
    from ..shorts.webhooks import WebhookAttempt, WebhookDelivery
    from .webhook_owners import Owner

PAGE = 100
FOLLOWED_PAGES = 10  # a retry of what is older than the newest 1,000 deliveries is not followed


async def follow(
    owner: Owner, endpoint: str | None, *, pause: Callable[[], Awaitable[None]]
) -> AsyncIterator[tuple[str, WebhookDelivery, WebhookAttempt]]:
    """Yield each attempt that is recorded from now on, with its endpoint, oldest first of each round.

    Raises what `owner` raises; once it has begun, it goes on after what may pass.
    """
    seen: set[tuple[str, int, datetime]] = set()
    is_first = True
    while True:
        try:
            recorded = await attempts_of(owner, endpoint)
        except OndolError as error:
            if is_first or not error.is_transient:
                raise
            complain(error)
            await pause()
            continue
        now = {(delivery.delivery_id, attempt.attempt, attempt.ended_at) for _, delivery, attempt in recorded}
        if is_first:
            err.print(say("webhooks_following"))
        else:
            for told, delivery, attempt in sorted(recorded, key=lambda one: one[2].ended_at):
                if (delivery.delivery_id, attempt.attempt, attempt.ended_at) not in seen:
                    yield told, delivery, attempt
        seen |= now
        is_first = False
        await pause()


async def attempts_of(owner: Owner, endpoint: str | None) -> list[tuple[str, WebhookDelivery, WebhookAttempt]]:
    """Every attempt of the newest deliveries of one endpoint, or of each."""
    recorded = []
    for one in [endpoint] if endpoint else [found.id for found in await owner.endpoints()]:
        before: datetime | None = None
        for _ in range(FOLLOWED_PAGES):
            page = await owner.log(one, limit=PAGE, before=before)
            recorded += [(one, delivery, attempt) for delivery in page.deliveries for attempt in delivery.attempts]
            before = page.next_before
            if before is None:
                break
    return recorded
