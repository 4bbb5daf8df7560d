"""realtime.messages: what SQL broadcasts through it, what can be replayed from it, and its partitions."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from .database import Database
from .protocol import Broadcast

SCHEMA = "realtime"
TABLE_PREFIX = "messages_"
KEPT = timedelta(hours=72)
MOST_REPLAYED = 25
REPLAY = """
    select id::text, event, payload::text, binary_payload
    from realtime.messages
    where topic = %s and private is true and extension = 'broadcast' and inserted_at >= %s
    order by inserted_at desc
    limit %s
"""


class ReplayError(Exception):
    """Parameters of a replay that cannot be used."""


async def maintain_partitions(database: Database) -> None:
    async with database.connection() as connection:
        await connection.execute("select realtime.maintain_messages_partitions()")


def from_wal(columns: Mapping[str, str | None]) -> tuple[str, bool, Broadcast] | None:
    """Topic, privacy and message of an inserted row; none when the row is no broadcast."""
    topic, event, payload, binary = (columns.get(name) for name in ("topic", "event", "payload", "binary_payload"))
    if topic is None or event is None:
        return None
    # wal2json writes bytea as bare hex.
    content = payload if payload is not None else bytes.fromhex(binary) if binary is not None else None
    if content is None:
        return None
    message = Broadcast.of(event, content, meta={"id": columns.get("id")})
    return topic, columns.get("private") == "true", message


async def replay(database: Database, topic: str, *, wanted: object) -> list[tuple[str, Broadcast]]:
    """The latest private messages of a topic, oldest first, with their ids; raises ReplayError."""
    options: dict[str, Any] = wanted if isinstance(wanted, dict) else {}
    since, limit = options.get("since"), options.get("limit", MOST_REPLAYED)
    if (
        isinstance(since, bool)
        or not isinstance(since, int | float)
        or isinstance(limit, bool)
        or not isinstance(limit, int)
    ):
        raise ReplayError("Replay params are not valid")
    now = datetime.now(UTC).replace(tzinfo=None)
    oldest = now - KEPT
    try:
        asked = datetime.fromtimestamp(since / 1000, UTC).replace(tzinfo=None)
    except (ValueError, OverflowError, OSError):
        raise ReplayError("Replay params are not valid") from None
    most = max(1, min(limit, MOST_REPLAYED))
    async with database.connection() as connection:
        rows = await (await connection.execute(REPLAY, (topic, max(asked, oldest), most))).fetchall()
    return [
        (
            message,
            Broadcast.of(event or "", payload if binary is None else binary, meta={"replayed": True, "id": message}),
        )
        for message, event, payload, binary in reversed(rows)
        if payload is not None or binary is not None
    ]
