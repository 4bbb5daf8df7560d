"""What a person is told: trends that match their keywords."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from .calls import Caller, Row, checked

__all__ = ["Notification", "NotificationsApi"]


class Notification(Row):
    """One thing told to one person; `payload` is the event's data as it was last heard."""

    id: str
    kind: str
    keyword: str | None = None
    region_code: str | None = None
    trend_id: str | None = None
    payload: dict[str, Any]
    created_at: datetime
    read_at: datetime | None = None


class NotificationId(Row):
    """Which notification a row is."""

    id: str


class NotificationsApi(Caller):
    """The part of `ShortsApi` that reads one's own notifications."""

    async def my_notifications(self, limit: int = 50, *, unread_only: bool = False) -> list[Notification]:
        """One's own notifications of the last 30 days, newest first."""
        query = self.client.supabase.table("notifications").select(",".join(Notification.model_fields))
        if unread_only:
            query = query.is_("read_at", "null")
        query = query.order("created_at", desc=True).order("id").limit(limit)
        return checked(await self.client.run("notifications", query.execute()), list[Notification], "notifications")

    async def mark_notifications_read(self, notification_ids: Sequence[str]) -> int:
        """Mark at most 200 of one's own notifications as read now; returns how many were unread."""
        if not notification_ids:
            return 0
        changed = self.client.supabase.table("notifications").update({"read_at": datetime.now(UTC).isoformat()})
        query = changed.in_("id", list(notification_ids)).is_("read_at", "null")
        rows = await self.client.run("notifications", query.execute())
        return len(checked(rows, list[NotificationId], "notifications"))
