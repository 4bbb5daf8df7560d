"""A connection to Postgres that is opened when needed and opened again after Postgres went away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from psycopg import sql

SETTINGS = "-c statement_timeout=5s -c timezone=UTC -c search_path=public,extensions"
Connection = psycopg.AsyncConnection[tuple[Any, ...]]


class Database:
    """One connection, one user at a time. Postgres errors pass to the caller; the next call reconnects."""

    def __init__(self, url: str, *, name: str) -> None:
        self._url = url
        self._name = name
        self._lock = asyncio.Lock()
        self._connection: Connection | None = None

    @property
    def alive(self) -> bool:
        """Whether the connection is open; one that Postgres has ended while it was idle is not."""
        if self._connection is None or self._connection.closed:
            return False
        try:
            # The first read takes Postgres' farewell, the second meets the end.
            for _ in range(2):
                self._connection.pgconn.consume_input()
        except psycopg.OperationalError:
            return False
        return True

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        async with self._lock:
            if not self.alive:
                await self.close()
                self._connection = await psycopg.AsyncConnection.connect(
                    self._url, autocommit=True, options=SETTINGS, application_name=self._name, connect_timeout=5
                )
            assert self._connection is not None
            yield self._connection

    async def close(self) -> None:
        if self._connection is not None:
            await self._connection.close()


async def become(connection: Connection, *, role: str, claims: str, topic: str | None = None) -> None:
    """Take a client's role and claims until the transaction ends, as policies expect them."""
    await connection.execute(
        "select set_config('role', %s, true), set_config('request.jwt.claims', %s, true),"
        " set_config('realtime.topic', %s, true)",
        (role, claims, topic or ""),
    )


def identifier(name: str) -> sql.SQL:
    """A quoted name; unlike sql.Identifier it may hold a percent sign beside placeholders."""
    return sql.SQL('"' + name.replace('"', '""').replace("%", "%%") + '"')
