"""docs/access.md is true: every cell of it is tried on the running stack, and nothing exists that it leaves out."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from tests.floor import access_fixtures
from tests.floor.access_table import COMMANDS, Comparer, Result, read_page

# Fewer would mean that the page, the parser or the fixtures have lost something.
LEAST_TRIED = 20000
LEAST_ALLOWED = 400


def compare(connection: psycopg.Connection[Any], *only: str) -> Result:
    return Comparer(connection, read_page()).compare(only or None)


def test_the_table_of_docs_access_is_what_the_database_does(seeded: psycopg.Connection[Any]) -> None:
    result = compare(seeded)
    print(f"{result.tried} attempts, {result.allowed} cells allowed, {len(result.objects)} objects")
    assert result.problems == [], "\n".join(["", *result.problems])
    assert result.tried >= LEAST_TRIED
    assert result.allowed >= LEAST_ALLOWED


def test_every_relation_of_the_page_states_all_four_commands() -> None:
    declared = read_page()
    relations = {name for name, command in declared.cells if command != "run"}
    assert [
        (name, command) for name in relations for command in COMMANDS if (name, command) not in declared.cells
    ] == []


# A hole, or a right that is gone, and the objects whose rows must then be reported.
CHANGES = {
    "a column is granted": ("grant update (user_tier) on public.users to app_authenticated", "public.users"),
    "a column is taken back": ("revoke update (name) on public.users from app_authenticated", "public.users"),
    "a table is granted to everybody": ("grant select on private.keyword_signals to anon", "private.keyword_signals"),
    "the service may no longer write": (
        "revoke insert on public.cached_videos from app_service",
        "public.cached_videos",
    ),
    "truncate is granted": ("grant truncate on public.users to app_service", "public.users"),
    "references are granted": ("grant references on public.users to app_authenticated", "public.users"),
    "a policy is gone": ('drop policy "people read their own tier" on public.user_tiers', "public.user_tiers"),
    "a policy is too wide": (
        "create policy wide on public.user_tiers for select to authenticated using (true)",
        "public.user_tiers",
    ),
    "a policy has another condition": (
        "alter policy anonymous_limited_read on public.cached_videos using (view_count > 1000)",
        "public.cached_videos",
    ),
    "rows are hidden by another condition of the same size": (
        "alter policy authenticated_basic_read on public.cached_videos using (not is_playable)",
        "public.cached_videos",
    ),
    "people may edit rows of others": (
        'alter policy "people edit their own row" on public.users using (true) with check (true)',
        "public.users",
    ),
    "row-level security is off": ("alter table public.users disable row level security", "public.users"),
    "a partition is granted": (
        "grant select on private.keyword_signals_default to service_role",
        "private.keyword_signals_default",
    ),
    "a function is granted": (
        "grant execute on function private.vault_secret(text) to app_anonymous",
        "private.vault_secret(text)",
    ),
    "a function is granted whose body may not do what it does": (
        "grant execute on function public.ingest_videos(jsonb) to app_anonymous",
        "public.ingest_videos(jsonb)",
    ),
    "a function may no longer do its work": (
        "alter function private.has_tier(public.tier_enum) security invoker",
        "private.has_tier(public.tier_enum)",
    ),
    "a sequence is granted": ("grant usage on sequence ops.alerts_id_seq to app_anonymous", "ops.alerts_id_seq"),
    "a function is taken back": (
        "revoke execute on function public.trending_now(text, integer) from app_anonymous",
        "public.trending_now(text, integer)",
    ),
    "a schema is opened": ("grant usage on schema ops to anon; grant select on ops.outbox to anon", "ops.outbox"),
    "a table that nobody declared": ("create table public.planted (id integer)", "public.planted"),
    "a view that nobody declared": ("create view public.planted as select 1 as one", "public.planted"),
    "a materialized view that nobody declared": (
        "create materialized view ops.planted as select 1 as one",
        "ops.planted",
    ),
    "a partition for all": (
        """
        create table private.planted partition of private.keyword_signals
        for values from ('2001-01-01 00:00+00') to ('2001-02-01 00:00+00');
        grant all on private.planted to anon
        """,
        "private.planted",
    ),
    "a function that nobody declared": (
        "create function public.planted(first integer, second text) returns integer language sql as 'select 1'",
        "public.planted(integer, text)",
    ),
    "a strict function of the closed kind that everybody may run": (
        """
        create function private.planted(first integer) returns integer strict language sql as 'select 1';
        grant execute on function private.planted(integer) to anon
        """,
        "private.planted(integer)",
    ),
}


@pytest.mark.parametrize(("change", "changed"), CHANGES.values(), ids=CHANGES)
def test_a_planted_change_is_reported_with_its_object(
    seeded: psycopg.Connection[Any], change: str, changed: str
) -> None:
    assert compare(seeded, changed).problems == []
    seeded.execute(change.encode())
    problems = compare(seeded, changed).problems
    assert problems
    assert all(changed in problem for problem in problems), problems


def test_rows_that_could_be_given_away_are_reported(seeded: psycopg.Connection[Any]) -> None:
    """D11: an own row must not become somebody else's."""
    page = """
        | `public.given` | select | – | all | all | all | all |
        | `public.given` | update | – | own | own | own | all |
        | `public.given` | insert, delete | – | – | – | – | – |
    """
    seeded.execute(
        b"create table public.given (id uuid, note text);"
        b" insert into public.given select id, 'mine' from public.users;"
        b" grant select, update on public.given to authenticated, service_role;"
        b" alter table public.given enable row level security;"
        b" create policy reading on public.given for select to authenticated using (true);"
        b" create policy writing on public.given for update to authenticated"
        b" using (id = (select auth.uid())) with check (true)"
    )
    access_fixtures.OWNERS["public.given"] = "id"
    try:
        problems = Comparer(seeded, read_page(page)).compare(["public.given"]).problems
        assert ["could give an own row to somebody else" in problem for problem in problems] == [True]
        seeded.execute(b"alter policy writing on public.given with check (id = (select auth.uid()))")
        assert Comparer(seeded, read_page(page)).compare(["public.given"]).problems == []
    finally:
        del access_fixtures.OWNERS["public.given"]


def test_a_cell_or_row_that_cannot_be_read_is_refused() -> None:
    row = "| `public.users` | {} | {} | – | – | – | – |"
    for command, cell in (("select", "maybe"), ("merge", "all"), ("select", "own (")):
        with pytest.raises(ValueError, match=r"access\.md"):
            read_page(row.format(command, cell))
    with pytest.raises(ValueError, match="said twice"):
        read_page("\n".join([row.format("select", "all")] * 2))
    with pytest.raises(ValueError, match="nobody's"):
        read_page("| every other function of `ops` | run | run | – | – | – | – |")
