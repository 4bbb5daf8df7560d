"""One changed row: as wal2json tells it, and as a subscriber is told."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from .protocol import dump
from .relation import Column, Relation

ACTIONS = {"I": "INSERT", "U": "UPDATE", "D": "DELETE"}
MOST_BYTES = 1024 * 1024
SMALL_VALUE = 64  # bytes; larger ones are left out of a change that is too large

Values = dict[str, str | None]


@dataclass(frozen=True, slots=True)
class Change:
    """One changed row as wal2json tells it: values are text, `size` is the record's length in bytes."""

    action: str
    schema: str
    table: str
    columns: Values
    identity: Values
    committed: str
    size: int

    @classmethod
    def of(cls, record: dict[str, Any]) -> Change:
        committed = datetime.fromisoformat(record["timestamp"]).astimezone(UTC)
        identity = values(record.get("identity", []))
        columns = values(record.get("columns", []))
        return cls(
            action=ACTIONS[record["action"]],
            schema=record["schema"],
            table=record["table"],
            # An unchanged large value is missing from the new row; a full replica identity still has it.
            columns={**identity, **columns} if columns else {},
            identity=identity,
            committed=committed.strftime("%Y-%m-%dT%H:%M:%S.") + f"{committed.microsecond // 1000:03}Z",
            size=sum(len(name) + len(text or "") for name, text in (*columns.items(), *identity.items())),
        )

    @property
    def filtered(self) -> Values:
        """What filters are evaluated on: of a deleted row only its replica identity is known."""
        return self.columns or self.identity


@dataclass(frozen=True, slots=True)
class Rendered:
    """A change's rows with every value as JSON text."""

    record: dict[str, str]
    old_record: dict[str, str]


def values(columns: list[dict[str, Any]]) -> Values:
    return {column["name"]: as_text(column["value"]) for column in columns}


def as_text(value: Any) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    return None if value is None else str(value)


def refusal(relation: Relation, change: Change, *, role: str) -> str | None:
    """Why the role is told of a change but not what it is."""
    if change.action == "DELETE":
        return None
    if not relation.key:
        return "Error 400: Bad Request, no primary key"
    if not all(role in column.roles for column in relation.key):
        return "Error 401: Unauthorized"
    return None


def describe_change(
    relation: Relation, change: Change, content: Rendered, *, role: str, select: frozenset[str] | None
) -> str:
    """The `data` of an event as JSON text, with the columns that the role may select and asked for."""
    refused = refusal(relation, change, role=role)
    shown = [
        column
        for column in relation.columns
        if refused is None and role in column.roles and (select is None or column.name in select or column.key)
    ]
    too_large = change.size > MOST_BYTES
    errors = [refused] if refused else ["Error 413: Payload Too Large"] if too_large else None
    parts = {
        "schema": dump(relation.schema),
        "table": dump(relation.table),
        "commit_timestamp": dump(change.committed),
        "type": dump(change.action),
        "columns": dump([{"name": column.name, "type": column.type} for column in shown]),
    }
    if change.action != "DELETE":
        parts["record"] = as_object(shown, content.record, too_large=too_large)
    if change.action != "INSERT":
        # Row-level security cannot be asked about a row that is gone: only its key is told.
        only_key = change.action == "DELETE" and relation.row_security
        old = [column for column in shown if column.key or not only_key]
        parts["old_record"] = as_object(old, content.old_record, too_large=too_large)
    parts["errors"] = dump(errors)
    return "{" + ",".join(f'"{name}":{text}' for name, text in parts.items()) + "}"


def as_object(columns: list[Column], texts: dict[str, str], *, too_large: bool) -> str:
    told = (
        f"{dump(column.name)}:{texts[column.name]}"
        for column in columns
        if column.name in texts and (not too_large or len(texts[column.name].encode()) <= SMALL_VALUE)
    )
    return "{" + ",".join(told) + "}"
