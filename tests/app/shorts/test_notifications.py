from __future__ import annotations

from datetime import datetime
from typing import Any

from app.cli.notifications import notifications_table
from app.shorts.notifications import Notification

from .test_activity import Backend

ROW: dict[str, Any] = {
    "id": "5a3b1e00-0000-4000-8000-000000000001",
    "kind": "trend",
    "keyword": "김치",
    "region_code": "KR",
    "trend_id": "5a3b1e00-0000-4000-8000-000000000002",
    "payload": {"trend_score": 0.91},
    "created_at": "2026-07-10T00:24:48+00:00",
    "read_at": None,
}


async def test_ones_own_notifications_newest_first() -> None:
    backend = Backend(notifications=[ROW])
    found = await backend.use(lambda api: api.my_notifications(3))
    await backend.use(lambda api: api.my_notifications(unread_only=True))
    assert found == [Notification.model_validate(ROW)]
    (_, first), (_, second) = backend.asked
    assert first["order"].startswith("created_at.desc")
    assert (first["limit"], first.get("read_at")) == ("3", None)
    assert (second["limit"], second["read_at"]) == ("50", "is.null")


async def test_those_that_are_named_are_marked_read() -> None:
    backend = Backend(notifications=[ROW])
    assert await backend.use(lambda api: api.mark_notifications_read([ROW["id"]])) == 1
    (name, body) = backend.asked[0]
    assert name == "notifications"
    assert datetime.fromisoformat(body["read_at"]).tzinfo is not None
    assert await backend.use(lambda api: api.mark_notifications_read([])) == 0
    assert len(backend.asked) == 1


def test_the_unread_are_bold_and_a_score_may_be_absent() -> None:
    read = {**ROW, "read_at": "2026-07-10T01:00:00+00:00", "payload": {}}
    table = notifications_table([Notification.model_validate(ROW), Notification.model_validate(read)])
    assert [row.style for row in table.rows] == ["bold", ""]
    assert list(table.columns[-1].cells) == ["0.910", ""]
