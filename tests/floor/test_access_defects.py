"""Defects of the source designs that the access table keeps out, each by its number in the review of those designs."""

# ruff: noqa: S608  names come from the fixtures and the catalog

from __future__ import annotations

from typing import Any

import psycopg

from tests.floor.access_fixtures import IDENTITIES, OWNED_THROUGH, OWNERS, Identity
from tests.floor.access_table import COMMANDS, DENIED, Attempt, Comparer, read_page


def outcome(connection: psycopg.Connection[Any], name: str, statement: str) -> str:
    identity = next(one for one in IDENTITIES if one.name == name)
    return Comparer(connection, read_page()).attempt([Attempt(statement, identity)])[0]


def signed_in() -> list[Identity]:
    return [identity for identity in IDENTITIES if identity.person]


def test_d2_a_role_in_ones_own_settings_or_user_metadata_is_worth_nothing(seeded: psycopg.Connection[Any]) -> None:
    assert outcome(seeded, "A, free", 'update public.users set settings = \'{"role": "admin"}\'') == "1"
    assert outcome(seeded, "A, free", "select from public.users") == "1"
    assert int(outcome(seeded, "admin", "select from public.users")) >= len(signed_in())


def test_d3_nobody_writes_the_own_tier_expiry_or_usage(seeded: psycopg.Connection[Any]) -> None:
    for change in ("user_tier = 'enterprise'", "subscription_expires_at = null", "daily_api_usage = 0", "email = null"):
        refused = outcome(seeded, "A, free", f"update public.users set {change}")
        assert refused == "42501 permission denied for table users"
    given = outcome(seeded, "A, free", "update public.user_tiers set tier = 'enterprise'")
    assert given == "42501 permission denied for table user_tiers"


def test_d4_people_change_nothing_that_all_share() -> None:
    shared = {name for name, command in read_page().cells if command == "select"}
    shared -= {*OWNERS, *OWNED_THROUGH}
    assert len(shared) > 10
    for name in shared:
        for command in ("insert", "update", "delete"):
            cells = read_page().cells[name, command]
            assert {cells[column].rows for column in ("anonymous", "signed in", "premium", "admin")} == {DENIED}, name


def test_d6_d7_no_tier_reaches_rows_of_somebody_else() -> None:
    for name in (*OWNERS, *OWNED_THROUGH):
        for command in COMMANDS:
            cells = read_page().cells[name, command]
            assert cells["anonymous"].rows == DENIED
            assert {cells["signed in"].rows, cells["premium"].rows} <= {DENIED, "none", "own"}, (name, command)


def test_d8_the_top_tier_has_what_a_lower_one_has(seeded: psycopg.Connection[Any]) -> None:
    full = int(outcome(seeded, "premium", "select from public.trending_keywords"))
    assert full > 0
    assert outcome(seeded, "enterprise", "select from public.trending_keywords") == str(full)
    for name in ("anon", "A, free", "trial", "expired"):
        assert outcome(seeded, name, "select from public.trending_keywords") == "0"


def test_d11_nobody_writes_in_the_name_of_another(seeded: psycopg.Connection[Any]) -> None:
    for identity in signed_in():
        for name, owner in OWNERS.items():
            for statement in (
                f"insert into {name} ({owner}) values (gen_random_uuid())",
                f"update {name} set {owner} = gen_random_uuid()",
            ):
                # Admins have all of search_sessions, by the policy of that name.
                if identity.name == "admin" and statement.startswith("insert into public.search_sessions ("):
                    continue
                assert outcome(seeded, identity.name, statement).startswith("42501 "), (identity.name, statement)


def test_d13_no_policy_for_select_or_delete_has_a_check_it_cannot_have(seeded: psycopg.Connection[Any]) -> None:
    found = seeded.execute(
        "select polname from pg_policy where polcmd in ('r', 'd') and polwithcheck is not null"
    ).fetchall()
    assert found == []


def test_d14_columns_are_kept_back_by_columns_and_not_by_policies(seeded: psycopg.Connection[Any]) -> None:
    assert outcome(seeded, "anon", "select keyword, trend_score from public.trending_now()").isdigit()
    for column in ("z_score", "search_volume", "related_keywords", "*, z_score"):
        refused = outcome(seeded, "anon", f"select {column} from public.trending_now()")
        assert refused.startswith("42703 "), refused


def test_d17_every_relation_states_every_command(seeded: psycopg.Connection[Any]) -> None:
    stated = read_page().cells
    relations = [one for one in Comparer(seeded, read_page()).relations if not one.is_partition]
    assert len(relations) > 10
    assert [(one.name, command) for one in relations for command in COMMANDS if (one.name, command) not in stated] == []


def test_d25_no_partition_is_a_way_round_its_parent(seeded: psycopg.Connection[Any]) -> None:
    partitions = [one for one in Comparer(seeded, read_page()).relations if one.is_partition]
    assert partitions
    for one in partitions:
        for identity in IDENTITIES:
            refused = outcome(seeded, identity.name, f"select from {one.name}")
            assert refused.startswith("42501 permission denied for "), (one.name, identity.name)
