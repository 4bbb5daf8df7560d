"""The stream of committed changes: wal2json through a temporary slot, on a replication connection of our own.

The slot dies with its connection, as the hosted service's does: nothing is kept while nobody reads, and
what commits while this part is away is never delivered.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import struct
import time
from collections.abc import AsyncGenerator, Iterable
from contextlib import suppress
from typing import Any

import psycopg
from psycopg import pq

STATUS_EVERY = 5.0  # seconds; Postgres gives up on a silent reader after 60
SETTINGS = "-c timezone=UTC -c datestyle=ISO -c wal_sender_timeout=60s"
POSTGRES_EPOCH = 946_684_800
OPTIONS = {"format-version": "2", "include-xids": "true", "include-timestamp": "true", "include-lsn": "true"}

Table = tuple[str, str]
Record = dict[str, Any]


class Reader:
    """One connection with its slot. `position` is the WAL position up to which everything was read."""

    def __init__(self, connection: psycopg.AsyncConnection[Any], *, position: int, excluded: frozenset[Table]) -> None:
        self.position = position
        self.excluded = excluded
        self._connection = connection
        self._pgconn = connection.pgconn
        self._wake = asyncio.Event()
        self._between = True  # transactions
        self._told = time.monotonic()

    @classmethod
    async def open(cls, url: str, *, slot: str, excluded: frozenset[Table]) -> Reader:
        """Start to stream what commits from now on; raises psycopg.Error."""
        connection = await psycopg.AsyncConnection.connect(
            url, replication="database", autocommit=True, options=SETTINGS, application_name="realtime"
        )
        try:
            create = f"CREATE_REPLICATION_SLOT \"{slot}\" TEMPORARY LOGICAL wal2json (SNAPSHOT 'nothing')"
            created = await (await connection.execute(create.encode())).fetchone()
            assert created is not None
            reader = cls(connection, position=position_of(created[1]), excluded=excluded)
            await reader._start(slot)
        except BaseException:
            await connection.close()
            raise
        return reader

    async def read(self) -> Record | None:
        """The next record, numbers as text; none when there was something else to look at than a record."""
        size, data = self._pgconn.get_copy_data(1)
        if size == 0:
            await self._readable()
            size, data = self._pgconn.get_copy_data(1)
        if time.monotonic() - self._told > STATUS_EVERY:
            self.tell()
        if size == -1:
            raise psycopg.OperationalError(self._ending())
        if size == 0:
            return None
        if bytes(data[:1]) == b"k":
            end, _, reply = struct.unpack("!QQB", data[1:18])
            if self._between:
                self.position = max(self.position, end)
            if reply:
                self.tell()
            return None
        record: Record = json.loads(bytes(data[25:]), parse_int=str, parse_float=str)
        self._between = record["action"] == "C"
        if self._between:
            (self.position,) = struct.unpack("!Q", data[1:9])
        return record

    @property
    def between_transactions(self) -> bool:
        return self._between

    def tell(self, *, ask: bool = False) -> None:
        """Tell Postgres our position; with `ask` it answers with its own at once."""
        self._told = time.monotonic()
        now = int((time.time() - POSTGRES_EPOCH) * 1_000_000)
        place = self.position
        self._pgconn.put_copy_data(b"r" + struct.pack("!QQQQB", place, place, place, now, ask))
        self._pgconn.flush()

    def wake(self) -> None:
        self._wake.set()

    async def close(self) -> None:
        # Closing the socket is enough for Postgres; a polite farewell could block on a dead server.
        self._pgconn.finish()
        await self._connection.close()

    async def _start(self, slot: str) -> None:
        options = dict(OPTIONS)
        if self.excluded:
            options["filter-tables"] = ",".join(sorted(".".join(map(escaped, table)) for table in self.excluded))
        listed = ", ".join(f"\"{name}\" '{value.replace(chr(39), chr(39) * 2)}'" for name, value in options.items())
        self._pgconn.send_query(f'START_REPLICATION SLOT "{slot}" LOGICAL 0/0 ({listed})'.encode())
        self._pgconn.flush()
        while self._pgconn.is_busy():
            await self._readable()
        result = self._pgconn.get_result()
        if result is None or result.status != pq.ExecStatus.COPY_BOTH:
            raise psycopg.OperationalError(self._pgconn.get_error_message())

    def _ending(self) -> str:
        """Why Postgres stopped to stream."""
        result = self._pgconn.get_result()
        return "" if result is None else result.error_message.decode(errors="replace")

    async def _readable(self) -> None:
        """Wait for bytes from Postgres, a wake-up, or the time to tell our position."""
        loop = asyncio.get_running_loop()
        # Only while waiting: the loop would call back without end while a record is being delivered.
        loop.add_reader(self._pgconn.socket, self._wake.set)
        try:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), STATUS_EVERY)
        finally:
            loop.remove_reader(self._pgconn.socket)
        self._wake.clear()
        self._pgconn.consume_input()


class Replication:
    """Streams from one reader at a time; another takes over without losing or repeating a transaction."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._numbers = itertools.count(1)
        self._reader: Reader | None = None
        self._successor: tuple[Reader, asyncio.Future[None]] | None = None
        self._changing = asyncio.Lock()

    @property
    def excluded(self) -> frozenset[Table]:
        return frozenset() if self._reader is None else self._reader.excluded

    async def records(self, *, started: asyncio.Event, excluded: Iterable[Table] = ()) -> AsyncGenerator[Record]:
        """wal2json's records, without those of excluded tables; ends with psycopg.Error when Postgres goes away."""
        reader = self._reader = await self._open(excluded)
        started.set()
        delivered, again = 0, False  # a successor may begin before the place where its predecessor ended
        try:
            while True:
                record = await reader.read()
                if self._successor is not None and taken_over(reader, record, self._successor[0]):
                    delivered = reader.position
                    await reader.close()
                    reader, done = self._successor
                    self._reader, self._successor = reader, None
                    done.set_result(None)
                elif record is not None:
                    if record["action"] == "B":
                        again = position_of(record["lsn"]) < delivered
                    if not again:
                        yield record
        finally:
            started.clear()
            self._reader = None
            await reader.close()
            if self._successor is not None:
                await self._successor[0].close()
                self._successor[1].set_result(None)
                self._successor = None

    async def exclude(self, tables: Iterable[Table]) -> None:
        """Go on with other excluded tables; returns when that is so, or when the stream has ended."""
        async with self._changing:
            successor = await self._open(tables)
            if self._reader is None:
                await successor.close()
                return
            done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._successor = successor, done
            self._reader.tell(ask=True)
            self._reader.wake()
            await asyncio.shield(done)

    async def _open(self, excluded: Iterable[Table]) -> Reader:
        slot = f"realtime_{os.getpid()}_{next(self._numbers)}"
        return await Reader.open(self._url, slot=slot, excluded=frozenset(excluded))


def taken_over(reader: Reader, record: Record | None, successor: Reader) -> bool:
    """Whether the successor streams everything from here on: its slot begins at its first position."""
    if record is None:
        return reader.between_transactions and reader.position >= successor.position
    return record["action"] == "B" and position_of(record["lsn"]) >= successor.position


def position_of(lsn: str) -> int:
    high, low = lsn.split("/")
    return int(high, 16) << 32 | int(low, 16)


def escaped(name: str) -> str:
    """A name as wal2json's table lists want it."""
    return "".join("\\" + character if character in "\\,. \t\n'\"" else character for character in name)
