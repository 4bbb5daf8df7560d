"""Where the conformance suite looks: the local stack, or the Supabase that `--target URL` names.

Every file in sql/ creates objects whose names begin with `conformance_`; they are made anew at the start of a session
and dropped at its end.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from psycopg import sql
from supabase import AsyncClient, AsyncClientOptions, create_async_client, create_client
from supabase.lib.client_options import SyncClientOptions

SQL_FILES = sorted((Path(__file__).parent / "sql").glob("*.sql"))
VISIBLE_WITHIN_SECONDS = 20
CHANGES = ("insert", "update", "delete", "truncate")
REQUIRED = ("SUPABASE_PUBLISHABLE_KEY", "SUPABASE_SECRET_KEY", "DATABASE_URL")

# What a session made, in an order in which it can be dropped.
DROPS = """
    select format('drop schema %I cascade', nspname)
    from pg_catalog.pg_namespace
    where nspname like 'conformance\\_%'
    union all
    select format('drop policy %I on %s', polname, polrelid::regclass)
    from pg_catalog.pg_policy
    join pg_catalog.pg_class on pg_class.oid = polrelid
    where polname like 'conformance\\_%' and relname not like 'conformance\\_%'
    union all
    select format('drop view public.%I cascade', relname)
    from pg_catalog.pg_class
    where relnamespace = 'public'::regnamespace and relname like 'conformance\\_%' and relkind = 'v'
    union all
    select format('drop table public.%I cascade', relname)
    from pg_catalog.pg_class
    where relnamespace = 'public'::regnamespace and relname like 'conformance\\_%' and relkind in ('r', 'p')
        and not relispartition
    union all
    select format('drop function %s cascade', oid::regprocedure)
    from pg_catalog.pg_proc
    where pronamespace = 'public'::regnamespace and proname like 'conformance\\_%'
    union all
    select format('drop type public.%I cascade', typname)
    from pg_catalog.pg_type
    left join pg_catalog.pg_class on pg_class.oid = typrelid
    where typnamespace = 'public'::regnamespace and typname like 'conformance\\_%'
        and (typtype in ('e', 'd') or relkind = 'c')
"""


@dataclass(frozen=True)
class Target:
    """One Supabase: its API, its keys, and its database as `postgres`."""

    url: str
    publishable_key: str
    secret_key: str
    database_url: str
    is_local: bool


@dataclass(frozen=True)
class Person:
    """A user of the target who can sign in."""

    id: str
    email: str
    password: str


@pytest.fixture(scope="session")
def target(request: pytest.FixtureRequest) -> Iterator[Target]:
    """The Supabase under test, with the fixture objects in it."""
    found = _target(request)
    with psycopg.connect(found.database_url, autocommit=True) as connection:
        _drop(connection)
        for file in SQL_FILES:
            with connection.transaction():
                connection.execute(file.read_bytes())
        _wait_until_visible(found, connection)
    yield found
    with psycopg.connect(found.database_url, autocommit=True) as connection:
        _drop(connection)
        connection.execute("notify pgrst, 'reload schema'")


def _target(request: pytest.FixtureRequest) -> Target:
    url = request.config.getoption("--target")
    if url is None:
        stack = request.getfixturevalue("stack")
        return Target(
            url=stack.api_url,
            publishable_key=stack.keys.publishable,
            secret_key=stack.keys.secret,
            database_url=stack.database_url(),
            is_local=True,
        )
    missing = [name for name in REQUIRED if not os.environ.get(name)]
    if missing:
        pytest.fail(f"--target needs {', '.join(missing)} in the environment", pytrace=False)
    publishable, secret, database = (os.environ[name] for name in REQUIRED)
    return Target(url.rstrip("/"), publishable, secret, database, is_local=False)


def _drop(connection: psycopg.Connection[tuple[str]]) -> None:
    for (statement,) in connection.execute(DROPS).fetchall():
        # An earlier `cascade` may have taken it along.
        try:
            connection.execute(statement)
        except (psycopg.errors.UndefinedObject, psycopg.errors.UndefinedTable, psycopg.errors.UndefinedFunction):
            continue


def _wait_until_visible(target: Target, connection: psycopg.Connection[tuple[str]]) -> None:
    """A new function is callable only when the Data API has read the schema after everything else was made."""
    name = f"conformance_ready_{secrets.token_hex(4)}"
    body = sql.SQL("create function public.{}() returns integer language sql immutable return 1")
    connection.execute(body.format(sql.Identifier(name)))
    connection.execute(sql.SQL("grant execute on function public.{}() to service_role").format(sql.Identifier(name)))
    connection.execute("notify pgrst, 'reload schema'")
    deadline = time.monotonic() + VISIBLE_WITHIN_SECONDS
    with httpx.Client(base_url=target.url, headers={"apikey": target.secret_key}) as client:
        while client.post(f"/rest/v1/rpc/{name}", json={}).status_code != 200:
            if time.monotonic() > deadline:
                pytest.fail(f"the Data API did not see the fixture objects in {VISIBLE_WITHIN_SECONDS} s")
            time.sleep(0.1)


@contextmanager
def publishing(target: Target, *kinds: str) -> Iterator[None]:
    """Postgres Changes tells of these kinds of changes only; afterwards of those that it told of before."""
    told = "select pubinsert, pubupdate, pubdelete, pubtruncate from pg_publication where pubname = 'supabase_realtime'"
    change = sql.SQL("alter publication supabase_realtime set (publish = {})")
    with psycopg.connect(target.database_url, autocommit=True) as connection:
        row = connection.execute(told).fetchone()
        assert row is not None
        before = [kind for kind, is_told in zip(CHANGES, row, strict=True) if is_told]
        connection.execute(change.format(", ".join(kinds)))
        try:
            yield
        finally:
            connection.execute(change.format(", ".join(before)))


@pytest.fixture
def deletes_are_told(target: Target) -> Iterator[None]:
    """A project that keeps deletes to itself, as this one does, tells of them for one test."""
    with publishing(target, *CHANGES):
        yield


@pytest.fixture(scope="session")
def people(target: Target) -> Iterator[tuple[Person, Person]]:
    """Two users who can sign in."""
    with httpx.Client(timeout=30) as http:
        admin = create_client(target.url, target.secret_key, options=SyncClientOptions(httpx_client=http)).auth.admin
        made = []
        for number in (1, 2):
            email, password = f"conformance-{number}-{secrets.token_hex(6)}@example.com", secrets.token_urlsafe(16)
            answer = admin.create_user({"email": email, "password": password, "email_confirm": True})
            made.append(Person(answer.user.id, email, password))
        yield made[0], made[1]
        for person in made:
            admin.delete_user(person.id)


@asynccontextmanager
async def connected(target: Target, key: str, person: Person | None = None) -> AsyncIterator[AsyncClient]:
    """A supabase client with `key`, signed in as `person` when one is given."""
    async with httpx.AsyncClient(timeout=30) as http:  # an edge function's cold start fits into it
        options = AsyncClientOptions(auto_refresh_token=False, httpx_client=http)
        client = await create_async_client(target.url, key, options=options)
        if person is not None:
            await client.auth.sign_in_with_password({"email": person.email, "password": person.password})
        yield client
        if person is not None:
            await client.auth.sign_out()


async def found(query: Any) -> Any:
    """The data of a query of either client's making."""
    return (await query.execute()).data


async def ids(query: Any) -> list[int]:
    """The ids that a query finds, in their order."""
    return [row["id"] for row in await found(query.order("id"))]


@pytest.fixture
async def anonymous(target: Target) -> AsyncIterator[AsyncClient]:
    async with connected(target, target.publishable_key) as client:
        yield client


@pytest.fixture
async def service(target: Target) -> AsyncIterator[AsyncClient]:
    async with connected(target, target.secret_key) as client:
        yield client


@pytest.fixture
async def member(target: Target, people: tuple[Person, Person]) -> AsyncIterator[AsyncClient]:
    """The first of the two users, signed in."""
    async with connected(target, target.publishable_key, people[0]) as client:
        yield client


@pytest.fixture
async def stranger(target: Target, people: tuple[Person, Person]) -> AsyncIterator[AsyncClient]:
    """The other user, signed in."""
    async with connected(target, target.publishable_key, people[1]) as client:
        yield client


@pytest.fixture
async def rest(target: Target) -> AsyncIterator[httpx.AsyncClient]:
    """Plain HTTP to the Data API with the secret key, for what clients hide: status and headers."""
    headers = {"apikey": target.secret_key}
    async with httpx.AsyncClient(base_url=f"{target.url}/rest/v1", headers=headers, timeout=30) as client:
        yield client


@pytest.fixture
async def public_rest(target: Target) -> AsyncIterator[httpx.AsyncClient]:
    """Plain HTTP to the Data API with the publishable key."""
    headers = {"apikey": target.publishable_key}
    async with httpx.AsyncClient(base_url=f"{target.url}/rest/v1", headers=headers, timeout=30) as client:
        yield client
