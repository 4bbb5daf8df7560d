"""Connections to the auth schema as the auth service has them: role supabase_auth_admin, UTC."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, TypeVar

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from ..settings import Stack

Row = dict[str, Any]
Connection = psycopg.AsyncConnection[Row]
Result = TypeVar("Result")
CONNECTIONS = 4
HOOK_MILLISECONDS = 2000  # hosted's limit for a Postgres hook


class AuthDatabase:
    """A few connections, opened when needed and replaced when Postgres went away."""

    def __init__(self, stack: Stack) -> None:
        self._url = stack.database_url("supabase_auth_admin")
        self._admin_url = stack.database_url("supabase_admin")
        self._idle: list[Connection] = []
        self._free = asyncio.Semaphore(CONNECTIONS)

    async def run(self, work: Callable[[Connection], Awaitable[Result]]) -> Result:
        """Run `work` in one transaction, on a connection that is alive when it starts."""
        async with self._free:
            while self._idle:
                connection = self._idle.pop()
                try:
                    return await self._transact(connection, work)
                except psycopg.OperationalError:
                    if not connection.closed:
                        raise
                    # It died while idle (Postgres was restarted): the next one, or a new one.
            return await self._transact(await connect(self._url), work)

    async def call_hook(self, schema: str, function: str, event: str) -> Any:
        """The JSON that `schema.function(event)` returns, under the hook's time limit."""
        query = sql.SQL("select {}(%s::jsonb) as output").format(sql.Identifier(schema, function))

        async def call(connection: Connection) -> Any:
            await connection.execute(sql.SQL("set local statement_timeout = {}").format(sql.Literal(HOOK_MILLISECONDS)))
            row = await (await connection.execute(query, (event,))).fetchone()
            return row["output"] if row else None

        return await self.run(call)

    async def hash_password(self, password: str) -> str:
        """The bcrypt hash that sign-in compares; pgcrypto makes it, as any seed file would."""
        connection = await connect(self._admin_url)
        try:
            query = "select extensions.crypt(%s, extensions.gen_salt('bf', 10)) as hash"
            row = await (await connection.execute(query, (password,))).fetchone()
            return str(row["hash"]) if row else ""
        finally:
            await connection.close()

    async def close(self) -> None:
        while self._idle:
            with suppress(psycopg.Error):
                await self._idle.pop().close()

    async def _transact(self, connection: Connection, work: Callable[[Connection], Awaitable[Result]]) -> Result:
        try:
            async with connection.transaction():
                return await work(connection)
        finally:
            if not connection.closed:
                self._idle.append(connection)


async def connect(url: str) -> Connection:
    return await psycopg.AsyncConnection.connect(
        url,
        autocommit=True,
        row_factory=dict_row,
        connect_timeout=3,
        application_name="gateway",
        options="-c timezone=UTC",
    )
