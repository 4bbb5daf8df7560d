"""One entry of a channel's `postgres_changes`, and what makes it acceptable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import psycopg

from .change import ACTIONS
from .database import Connection
from .filters import Condition, FilterError, parse
from .identity import Identity
from .relation import Relation, describe, is_published


class SubscriptionError(Exception):
    """Parameters that no change can ever match; the text goes to the client."""


class Subscriber(Protocol):
    """A channel, as this module sees it."""

    @property
    def identity(self) -> Identity: ...

    def send_changes(self, ids: list[int], data: str) -> None: ...


@dataclass(frozen=True, slots=True, eq=False)
class Subscription:
    """One entry of a channel's `postgres_changes`; `table` is none for every table of the schema."""

    id: int
    subscriber: Subscriber
    event: str
    schema: str
    table: str | None
    conditions: tuple[Condition, ...]
    select: frozenset[str] | None
    asked: tuple[tuple[str, str], ...]

    def covers(self, relation: Relation) -> bool:
        return self.schema in ("*", relation.schema) and self.table in (None, relation.table)


def subscription_of(subscriber: Subscriber, number: int, wanted: dict[str, Any]) -> Subscription:
    event, schema, table = wanted.get("event", "*"), wanted.get("schema"), wanted.get("table")
    filtered, select = wanted.get("filter"), wanted.get("select")
    if schema is None and table is None:
        raise SubscriptionError(
            "No subscription params provided. Please provide at least a `schema` or `table` to subscribe to"
        )
    texts = (value for value in (schema, table, filtered) if value is not None)
    if not isinstance(event, str) or not all(isinstance(value, str) for value in texts):
        raise SubscriptionError("Subscription params are not valid: event, schema, table and filter are strings")
    if event.upper() not in ("*", *ACTIONS.values()):
        raise SubscriptionError(f"Subscription params are not valid: there is no event {event}")
    if select is not None and not (isinstance(select, list) and all(isinstance(name, str) for name in select)):
        raise SubscriptionError("Subscription params are not valid: select is a list of column names")
    try:
        conditions = parse(filtered or "")
    except FilterError as error:
        raise SubscriptionError(str(error)) from None
    return Subscription(
        id=number,
        subscriber=subscriber,
        event=event.upper(),
        schema="public" if schema is None else schema,
        table=None if table == "*" else table,
        conditions=conditions,
        select=None if select is None else frozenset(select),
        asked=tuple((name, wanted[name]) for name in ("event", "schema", "table", "filter") if wanted.get(name)),
    )


async def check_published(connection: Connection, subscription: Subscription) -> None:
    """Refuse what can never match; raises SubscriptionError."""
    told = ", ".join(f"{name}: {text}" for name, text in subscription.asked)
    if not await is_published(connection, subscription.schema, subscription.table):
        raise SubscriptionError(
            "Unable to subscribe to changes with given parameters. "
            f"Please check Realtime is enabled for the given connect parameters: [{told}]"
        )
    try:
        await check_columns(connection, subscription)
    except FilterError as error:
        raise SubscriptionError(f"Unable to subscribe to changes with given parameters: [{told}]. {error}") from None


async def check_columns(connection: Connection, subscription: Subscription) -> None:
    """Refuse now what could only fail later: columns that are hidden or missing, values of another type."""
    if subscription.table is None:
        return
    role = subscription.subscriber.identity.role
    relation = await describe(connection, subscription.schema, subscription.table, roles=[role])
    if relation is None:
        return  # a partitioned table published through its partitions
    selectable = {column.name: column for column in relation.columns if role in column.roles}
    for name in subscription.select or ():
        if name not in selectable:
            raise FilterError(f"invalid column for select {name}")
    for condition in subscription.conditions:
        column = selectable.get(condition.column)
        if column is None:
            raise FilterError(f"invalid column for filter {condition.column}")
        try:
            await connection.execute(condition.probe(cast=column.cast), ([condition.value],))
        except psycopg.OperationalError:
            raise
        except psycopg.Error as error:
            raise FilterError(error.diag.message_primary or "the filter cannot be evaluated") from None
