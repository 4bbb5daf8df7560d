"""Everything that one Realtime server holds, and the loop that feeds it from Postgres."""

from __future__ import annotations

import asyncio
import sys
import time
import traceback
from contextlib import aclosing

import psycopg

from ..settings import Stack
from .authorisation import Authorisation
from .change import Change
from .changes import Changes
from .connection import Connection
from .database import Database
from .hub import Hub
from .identity import Tokens
from .messages import SCHEMA, TABLE_PREFIX, from_wal, maintain_partitions
from .relation import unpublished
from .replication import Replication

AT_ONCE = 500  # changes of a long transaction that are delivered together
RECONNECT_AFTER = 0.2  # seconds
LOOK_EVERY = 2.0  # seconds between looks at the publication
MAINTAIN_EVERY = 3600.0  # seconds


class Service:
    """Shared by all connections of a server."""

    def __init__(self, stack: Stack) -> None:
        url = stack.database_url("supabase_admin")
        self.tokens = Tokens(stack.keys)
        self.hub = Hub()
        self.database = Database(url, name="realtime authorisation")
        self.authorisation = Authorisation(self.database)
        self.changes = Changes(Database(url, name="realtime changes"))
        self.streaming = asyncio.Event()
        self.connections: set[Connection] = set()
        self._replication = Replication(url)
        self._roles: set[str] = set()
        # A list that was read before a subscription came must not be applied after it.
        self._choosing = asyncio.Lock()

    async def is_role(self, role: str) -> bool:
        """Whether requests may take the role; a role that was found once is not asked about again."""
        if role not in self._roles and await self.authorisation.is_role(role):
            self._roles.add(role)
        return role in self._roles

    async def run(self) -> None:
        """Stream until cancelled, whatever happens to Postgres meanwhile."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_streaming())
            group.create_task(self._keep_house())

    async def stream_published(self) -> None:
        """Make sure that no table which is published now is still left out of the stream."""
        async with self._choosing:
            left_out = await self._unpublished()
            if self._replication.excluded - left_out:
                await self._replication.exclude(left_out)

    async def leave_out_unpublished(self) -> None:
        """Spare the work for tables that came after the stream began, as those of the first migrations do."""
        async with self._choosing:
            left_out = await self._unpublished()
            if self._replication.excluded != left_out:
                await self._replication.exclude(left_out)

    async def _unpublished(self) -> set[tuple[str, str]]:
        async with self.database.connection() as connection:
            return await unpublished(connection)

    async def _keep_streaming(self) -> None:
        told = ""
        while True:
            try:
                await self._stream()
            except (psycopg.Error, OSError) as error:
                reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
                if reason != told:
                    print(f"realtime: the stream from Postgres ended: {reason}", file=sys.stderr, flush=True)
                told = reason
            except Exception:
                traceback.print_exc()
            await asyncio.sleep(RECONNECT_AFTER)

    async def _stream(self) -> None:
        left_out = await self._unpublished()
        watch = asyncio.create_task(self._tell_resubscribed())
        xid, changes = 0, list[Change]()
        try:
            async with aclosing(self._replication.records(started=self.streaming, excluded=left_out)) as records:
                async for record in records:
                    action = record["action"]
                    if action == "B":
                        xid = int(record["xid"])
                    elif action == "I" and record["schema"] == SCHEMA and record["table"].startswith(TABLE_PREFIX):
                        self._broadcast(Change.of(record))
                    elif action in ("I", "U", "D"):
                        changes.append(Change.of(record))
                    if changes and (action == "C" or len(changes) >= AT_ONCE):
                        await self.changes.deliver(xid, changes)
                        changes = []
        finally:
            watch.cancel()

    def _broadcast(self, change: Change) -> None:
        """Committed rows of realtime.messages are on their way to subscribers."""
        found = from_wal(change.columns)
        if found is not None:
            topic, private, message = found
            self.hub.broadcast(topic, message, private=private)

    async def _tell_resubscribed(self) -> None:
        """After an interruption clients hear that changes flow again: what happened meanwhile is lost."""
        await self.streaming.wait()
        for connection in self.connections:
            for channel in connection.channels:
                if channel.has_changes:
                    channel.tell_subscribed()

    async def _keep_house(self) -> None:
        maintained = float("-inf")
        while True:
            await self.streaming.wait()
            try:
                if time.monotonic() - maintained > MAINTAIN_EVERY:
                    await maintain_partitions(self.database)
                    maintained = time.monotonic()
                await self.leave_out_unpublished()
            except (psycopg.Error, OSError) as error:
                print(f"realtime: housekeeping failed: {error}", file=sys.stderr)
            await asyncio.sleep(LOOK_EVERY)
