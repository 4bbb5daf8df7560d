"""Private channels: what row-level security on realtime.messages lets a client read and write."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

import psycopg

from .database import Connection, Database, become
from .identity import Identity

EXTENSIONS = ("broadcast", "presence")
INSERT = "insert into realtime.messages (id, topic, extension) values (%s, %s, %s)"
ROLES = """
    select coalesce(pg_has_role('authenticator', to_regrole(quote_ident(%s)), 'member'), false)
"""


@dataclass(frozen=True, slots=True)
class Permissions:
    """Which extensions of one topic a client may use."""

    broadcast: bool
    presence: bool

    def __or__(self, other: Permissions) -> Permissions:
        return Permissions(self.broadcast or other.broadcast, self.presence or other.presence)

    def __bool__(self) -> bool:
        return self.broadcast or self.presence


ALL = Permissions(broadcast=True, presence=True)
NONE = Permissions(broadcast=False, presence=False)


class Authorisation:
    """Asks the policies inside transactions that never commit. Database errors pass, save those of a policy."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def is_role(self, role: str) -> bool:
        """Whether requests may take this role; a token for any other is refused."""
        async with self._database.connection() as connection:
            found = await (await connection.execute(ROLES, (role,))).fetchone()
        return found is not None and bool(found[0])

    async def may_read(self, identity: Identity, topic: str) -> Permissions:
        """Which of two rows, one per extension, the client's role sees. A policy that raises denies."""
        ids = {extension: uuid.uuid4() for extension in EXTENSIONS}
        try:
            async with self._database.connection() as connection, connection.transaction(force_rollback=True):
                for extension, message in ids.items():
                    await connection.execute(INSERT, (message, topic, extension))
                await become(connection, role=identity.role, claims=identity.claims, topic=topic)
                rows = await connection.execute(
                    "select extension from realtime.messages where topic = %s and id = any (%s)",
                    (topic, list(ids.values())),
                )
                seen = {extension for (extension,) in await rows.fetchall()}
        except psycopg.OperationalError:
            raise
        except psycopg.Error as error:
            return refused(error, topic)
        return Permissions(broadcast="broadcast" in seen, presence="presence" in seen)

    async def may_write(self, identity: Identity, topic: str) -> Permissions:
        """Which of two rows the client's role may insert."""
        async with self._database.connection() as connection, connection.transaction(force_rollback=True):
            await become(connection, role=identity.role, claims=identity.claims, topic=topic)
            written = [await self._inserts(connection, topic, extension) for extension in EXTENSIONS]
        return Permissions(*written)

    async def _inserts(self, connection: Connection, topic: str, extension: str) -> bool:
        try:
            async with connection.transaction():
                await connection.execute(INSERT, (uuid.uuid4(), topic, extension))
        except psycopg.OperationalError:
            raise
        except psycopg.Error as error:
            return bool(refused(error, topic))
        return True


def refused(error: psycopg.Error, topic: str) -> Permissions:
    if not isinstance(error, psycopg.errors.InsufficientPrivilege):
        print(f"realtime: a policy on realtime.messages failed for topic {topic!r}: {error}", flush=True)
    return NONE
