"""supabase/security.lock is what the catalog says, and changes when a right does."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from scripts.local_stack.settings import Stack
from scripts.lock_security import LOCK, facts


@pytest.fixture
def connection(stack: Stack) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(stack.database_url()) as connection:
        yield connection
        connection.rollback()


def test_the_lock_file_is_what_the_database_says(connection: psycopg.Connection[Any]) -> None:
    locked = LOCK.read_text(encoding="utf-8").splitlines()
    difference = "\n".join(difflib.unified_diff(locked, facts(connection).splitlines(), "locked", "found", n=0))
    assert difference == "", f"\n{difference}\nIf this is meant: ./scripts/lock-security, and commit the file.\n"


CHANGES = (
    "grant select on public.users to anon",
    "grant update (user_tier) on public.users to app_authenticated",
    "alter policy anonymous_limited_read on public.cached_videos using (is_playable)",
    'drop policy "people read their own tier" on public.user_tiers',
    "create policy wide on public.user_tiers as restrictive for select to public using (true)",
    "alter table public.users disable row level security",
    "alter table ops.alerts force row level security",
    "alter table private.keyword_signals_default disable row level security",
    "alter function private.claims() security definer",
    "alter function private.claims() reset search_path",
    "alter function private.is_admin() volatile",
    "grant execute on function private.vault_secret(text) to public",
    "grant usage on schema ops to anon",
    "alter default privileges for role postgres grant select on tables to anon",
    "alter default privileges for role postgres in schema public grant execute on functions to anon",
    "grant app_admin to authenticated",
    "alter table public.user_tiers disable trigger copy_tier",
    "alter publication supabase_realtime add table public.users",
    "alter publication supabase_realtime set (publish = 'insert, update, delete')",
    "create policy forgers on realtime.messages for insert to anon with check (true)",
    "select cron.unschedule('floor-sweep-outbox')",
    "create view public.planted with (security_invoker = false) as select 1 as one",
)


@pytest.mark.parametrize("change", CHANGES)
def test_a_planted_change_shows_in_the_text(connection: psycopg.Connection[Any], change: str) -> None:
    before = facts(connection)
    connection.execute(change.encode())
    assert facts(connection) != before


def test_months_of_partitions_do_not_show(connection: psycopg.Connection[Any]) -> None:
    before = facts(connection)
    connection.execute("select ops.create_monthly_partition('private.keyword_signals', '2030-01-01')")
    assert facts(connection) == before
    connection.execute("grant select on private.keyword_signals_2030_01 to app_service")
    assert facts(connection) != before
