"""A trend's webhook becomes a notification of who follows its keyword, who reads it by `ondol notifications`."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import psycopg

from scripts.local_stack.settings import Stack

from .people import PASSWORD, Person, connected, signed_up
from .test_webhooks_integration import Commands


async def follow(person: Person, keyword: str) -> None:
    profiles = person.client.supabase.table("user_profiles")
    await profiles.update({"preferred_keywords": [keyword]}).eq("user_id", person.id).execute()


async def test_one_reads_ones_own_and_no_one_elses(stack: Stack, tmp_path: Path) -> None:
    keyword, webhook_id = f"시험{uuid4().hex[:8]}", f"msg_{uuid4().hex}"
    data = {
        "id": str(uuid4()),
        "keyword": keyword,
        "region_code": "KR",
        "trend_score": 0.91,
        "growth_rate": 120.5,
        "detected_at": datetime.now(UTC).isoformat(),
    }
    event = {"type": "trend.detected", "timestamp": data["detected_at"], "data": data}
    async with signed_up(stack) as person, signed_up(stack) as other, connected(stack, as_service=True) as service:
        await follow(person, keyword)
        await follow(other, f"{keyword}2")
        answer = await service.call("receive_trend_event", {"webhook_id": webhook_id, "event": event})
        assert answer == {"duplicate": False, "notified": 1}
        [told] = await person.api.my_notifications()
        assert (told.kind, told.keyword, told.region_code, told.read_at) == ("trend", keyword, "KR", None)
        assert told.payload["trend_score"] == 0.91
        assert await other.api.my_notifications() == []
        assert await other.api.mark_notifications_read([told.id]) == 0

        user = await person.client.supabase.auth.get_user()
        assert user is not None
        assert user.user.email is not None
        commands = Commands(stack, tmp_path, ONDOL_EMAIL=user.user.email, ONDOL_PASSWORD=PASSWORD)
        shown = await asyncio.to_thread(commands.json, "notifications", "--read")
        assert [(row["id"], row["read_at"]) for row in shown] == [(told.id, None)]
        assert await person.api.my_notifications(unread_only=True) == []
        assert await person.api.mark_notifications_read([told.id]) == 0
        [read] = await person.api.my_notifications()
        assert read.read_at is not None
        assert keyword in (await asyncio.to_thread(commands.ask, "notifications"))[0]
    with psycopg.connect(stack.database_url("postgres")) as connection:
        connection.execute("delete from ops.webhook_receipts where webhook_id = %s", (webhook_id,))
