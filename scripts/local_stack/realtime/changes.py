"""Postgres Changes: who hears of a committed change.

For each run of changes to one table: one query renders them as to_jsonb would, one per kind of filter evaluates
them on the WAL record, and one per (role, claims) asks row-level security, whatever the number of subscribers.
"""

from __future__ import annotations

import itertools
import sys
import traceback
from collections import defaultdict
from typing import Any

from .change import Change, Rendered, describe_change, refusal
from .database import Connection, Database
from .relation import Relation, describe
from .rows import match_filters, render, visible_rows, wait_until_visible
from .subscription import Subscriber, Subscription, check_published, subscription_of


class Changes:
    """All subscriptions of this server."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._subscriptions: dict[int, Subscription] = {}
        self._ids = itertools.count(1)

    def new_id(self) -> int:
        return next(self._ids)

    async def check(self, subscriber: Subscriber, number: int, wanted: dict[str, Any]) -> Subscription:
        """Read one entry of a join; raises SubscriptionError, and psycopg.Error when Postgres is away."""
        subscription = subscription_of(subscriber, number, wanted)
        async with self._database.connection() as connection:
            await check_published(connection, subscription)
        return subscription

    def add(self, subscription: Subscription) -> None:
        self._subscriptions[subscription.id] = subscription

    def remove(self, number: int) -> None:
        self._subscriptions.pop(number, None)

    async def deliver(self, xid: int, changes: list[Change]) -> None:
        """Tell everyone concerned, in order. One table's trouble never costs another its events."""
        for (schema, table), run in itertools.groupby(changes, key=lambda change: (change.schema, change.table)):
            if not self._subscriptions:
                return
            try:
                await self._deliver_run(xid, schema, table, list(run))
            except Exception:
                if not self._database.alive:
                    raise  # Postgres is gone, and the stream with it
                print(f"realtime: changes of {schema}.{table} could not be delivered", file=sys.stderr)
                traceback.print_exc()

    async def _deliver_run(self, xid: int, schema: str, table: str, changes: list[Change]) -> None:
        async with self._database.connection() as connection:
            roles = sorted({subscription.subscriber.identity.role for subscription in self._subscriptions.values()})
            relation = await describe(connection, schema, table, roles=roles)
            if relation is None:
                return
            concerned = [each for each in self._subscriptions.values() if each.covers(relation)]
            if not concerned:
                return
            rendered = await render(connection, relation, changes)
            conditions = {condition for subscription in concerned for condition in subscription.conditions}
            matched = await match_filters(connection, relation, changes, conditions)
            candidates = {
                subscription: [
                    position
                    for position, change in enumerate(changes)
                    if change.action in relation.actions
                    and subscription.event in ("*", change.action)
                    and rendered[position] is not None
                    and all(position in matched[condition] for condition in subscription.conditions)
                ]
                for subscription in concerned
            }
            seen = await self._visible(connection, xid, relation, changes, candidates)
        self._send(relation, changes, rendered, candidates, seen)

    async def _visible(
        self,
        connection: Connection,
        xid: int,
        relation: Relation,
        changes: list[Change],
        candidates: dict[Subscription, list[int]],
    ) -> dict[tuple[str, str], set[int]]:
        """Per (role, claims) the positions of inserted and updated rows that row-level security shows."""
        asked: defaultdict[tuple[str, str], set[int]] = defaultdict(set)
        if not relation.row_security or not relation.key:
            return asked
        for subscription, positions in candidates.items():
            group = subscription.subscriber.identity.group
            if all(group[0] in column.roles for column in relation.key):
                asked[group].update(position for position in positions if changes[position].action != "DELETE")
        if any(asked.values()):
            await wait_until_visible(connection, xid)
        return {
            group: await visible_rows(connection, relation, changes, sorted(positions), group=group)
            for group, positions in asked.items()
            if positions
        }

    def _send(
        self,
        relation: Relation,
        changes: list[Change],
        rendered: list[Rendered | None],
        candidates: dict[Subscription, list[int]],
        seen: dict[tuple[str, str], set[int]],
    ) -> None:
        wanting: defaultdict[int, list[Subscription]] = defaultdict(list)
        for subscription, positions in candidates.items():
            for position in positions:
                wanting[position].append(subscription)
        for position in sorted(wanting):
            change, content = changes[position], rendered[position]
            assert content is not None
            told: dict[tuple[str, frozenset[str] | None], str] = {}
            together: defaultdict[tuple[Subscriber, frozenset[str] | None], list[int]] = defaultdict(list)
            for subscription in wanting[position]:
                role, select = subscription.subscriber.identity.role, subscription.select
                data, open_to_all = told.get((role, select)), not relation.row_security or change.action == "DELETE"
                if data is None:
                    data = told[role, select] = describe_change(relation, change, content, role=role, select=select)
                hidden = position not in seen.get(subscription.subscriber.identity.group, ())
                if open_to_all or not hidden or refusal(relation, change, role=role):
                    together[subscription.subscriber, select].append(subscription.id)
            for (subscriber, select), ids in together.items():
                subscriber.send_changes(ids, told[subscriber.identity.role, select])
