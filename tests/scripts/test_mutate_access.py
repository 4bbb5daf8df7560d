"""The command that harms access: the lock notices every harm, behaviour notices what clients feel, and it can fail."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import psycopg
import pytest

from scripts import access_mutants, mutate_access
from scripts.access_mutants import Mutant
from scripts.lock_security import LOCK
from scripts.mutate_access import AccessError, Source, Verdict, main, require_loopback, run
from tests.floor.access_table import read_page

# Fewer would mean that a kind of harm is no longer made.
KINDS = {
    "policy": 40,
    "row-level security": 20,
    "grant on a relation": 500,
    "grant on a column": 10,
    "grant on a sequence": 30,
    "grant on a function": 250,
    "grant on a schema": 10,
    "membership": 10,
    "view": 5,
    "function": 100,
}

HARMLESS = Mutant("planted", "a comment", "public.users", "comment on table public.users is 'x'", "relations")


def planted(*chosen: Mutant) -> Source:
    def source(connection: psycopg.Connection[Any]) -> Sequence[Mutant]:
        return chosen

    return source


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with mutate_access.own_database() as made:
        yield made


def test_the_lock_notices_every_harm(url: str) -> None:
    verdicts = run(url, lock_only=True)
    made = {kind: sum(verdict.kind == kind for verdict in verdicts) for kind in KINDS}
    assert [verdict for verdict in verdicts if not verdict.lock or verdict.error] == []
    assert {kind: number for kind, number in made.items() if number < KINDS[kind]} == {}
    assert {verdict.kind for verdict in verdicts} == set(KINDS)
    assert len({verdict.name for verdict in verdicts}) == len(verdicts)


# One of each kind that clients feel.
FELT = (
    'policy "people read their own tier" of public.user_tiers: dropped',
    'policy "people read their own tier" of public.user_tiers: using made true',
    "policy anonymous_limited_read of public.cached_videos: using negated",
    'policy "people edit their own row" of public.users: with check negated',
    'policy "admins hear of sensitive operations" of realtime.messages: using made true',
    'policy "admins hear of sensitive operations" of realtime.messages: opened to every command',
    'policy "everybody hears of trends" of realtime.messages: opened to every command',
    "row-level security of public.user_tiers: off",
    "row-level security of realtime.messages: off",
    "grant select on private.keyword_signals_YYYY_MM to app_anonymous",
    "grant delete on ops.outbox to app_anonymous",
    "grant truncate on public.users to app_service",
    "grant update on public.users to app_authenticated (some columns only before)",
    "grant update (user_tier) on public.users to app_authenticated",
    "grant usage on sequence ops.alerts_id_seq to app_anonymous",
    "grant execute on routine ops.enqueue(text,jsonb) to app_anonymous",
    "grant execute on routine public.ingest_videos(jsonb) to app_anonymous",
    "function private.has_tier(public.tier_enum): made invoker",
    "function private.write_audit_log(): made invoker",
    "grant app_service to anon with inherit true",
)
# The object's own grants and rows hold what each of these would let through.
UNFELT = (
    'policy "people read their own tier" of public.user_tiers: opened to public',
    "row-level security of ops.alerts: off",
    "grant usage on schema ops to app_anonymous",
)


@pytest.fixture(scope="module")
def judged(url: str) -> dict[str, Verdict]:
    def source(connection: psycopg.Connection[Any]) -> Sequence[Mutant]:
        return [mutant for mutant in access_mutants.mutants(connection) if mutant.name in {*FELT, *UNFELT}]

    return {verdict.name: verdict for verdict in run(url, source=source)}


@pytest.mark.parametrize("name", [*FELT, *UNFELT])
def test_behaviour_notices_what_clients_feel(judged: dict[str, Verdict], name: str) -> None:
    verdict = judged[name]
    assert verdict.lock
    assert verdict.error is None
    assert verdict.behaviour is (name in FELT), verdict.found
    assert verdict.tried > 0


def test_a_database_of_its_own_is_harmed_if_nothing_is_said(
    monkeypatch: pytest.MonkeyPatch, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(mutate_access, "own_database", lambda: mutate_access.given(url))
    assert main(["--only", "public.user_tiers: using made true"]) == 0
    assert "1 harms in" in capsys.readouterr().out
    with psycopg.connect(url) as connection:
        left = connection.execute("select qual from pg_policies where tablename = 'user_tiers'").fetchall()
    assert "uid" in left[0][0]


def test_a_harm_that_nothing_notices_ends_with_1(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([url], planted(HARMLESS)) == 1
    assert "NOTHING NOTICES  a comment" in capsys.readouterr().out


def test_a_harm_that_cannot_be_made_ends_with_1(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([url], planted(Mutant("planted", "wrong", "public.users", "drop table nowhere", "relations"))) == 1
    assert "NOTHING NOTICES  wrong" in capsys.readouterr().out


def test_a_database_that_differs_before_any_harm_is_refused(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AccessError, match="no harm's name contains"):
        run(url, only="nothing has this name")
    page = read_page()
    fewer = {key: cells for key, cells in page.cells.items() if key[0] != "public.user_tiers"}
    monkeypatch.setattr(mutate_access, "read_page", lambda: type(page)(fewer, page.closed_schemas))
    with pytest.raises(AccessError, match=r"missing in docs/access\.md"):
        run(url, only="public.user_tiers")


def test_a_database_that_the_lock_does_not_know_is_refused(
    url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "security.lock"
    other.write_text(LOCK.read_text(encoding="utf-8") + "one line more\n", encoding="utf-8")
    monkeypatch.setattr(mutate_access, "LOCK", other)
    assert main([url, "--lock-only"]) == 1
    assert "is not what this database says" in capsys.readouterr().err


def test_json_says_every_verdict_and_leaves_the_database_as_it_was(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        assert main([url, "--json", "--only", "public.user_tiers: dropped"]) == 0
        said = json.loads(capsys.readouterr().out)
        assert [(one["lock"], one["behaviour"], one["survived"]) for one in said["mutants"]] == [(True, True, False)]


def test_harms_come_in_the_same_order(url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("set local search_path = pg_catalog")
        assert access_mutants.mutants(connection) == access_mutants.mutants(connection)


def test_a_restrictive_policy_and_one_that_checks_only_are_harmed_too(url: str) -> None:
    """None of ours is either yet: planted, as both kinds have statements of their own."""
    with psycopg.connect(url) as connection:
        connection.execute("set local search_path = pg_catalog")
        connection.execute(
            b"create policy narrow on public.users as restrictive for select to anon using (id is not null);"
            b" create policy put on public.users for insert to authenticated with check (name is null)"
        )
        made = {mutant.name: mutant for mutant in access_mutants.mutants(connection) if mutant.object == "public.users"}
        for name in ("narrow of public.users: made permissive", "put of public.users: opened to every command"):
            connection.execute(made[f"policy {name}"].change.encode())
        found = connection.execute(
            "select polname, polpermissive, polcmd, pg_get_expr(polqual, polrelid) from pg_policy"
            " where polname in ('narrow', 'put') order by polname"
        ).fetchall()
        connection.rollback()
    assert found == [("narrow", True, "r", "(id IS NOT NULL)"), ("put", True, "*", "(name IS NULL)")]
    assert "policy put of public.users: with check made true" in made


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://postgres@db.example.com/postgres",
        "postgresql://postgres@127.0.0.1,db.example.com/postgres",
        "postgresql://postgres@localhost/postgres?hostaddr=192.0.2.1",
        "postgresql://postgres@localhost.example.com/postgres",
        "postgresql://postgres@10.0.0.1/postgres",
        "postgresql:///postgres?service=remote",
        "postgresql:///postgres",
        "host=127.0.0.1 service=remote",
        "no address",
    ],
)
def test_a_database_elsewhere_is_refused_before_it_is_asked(
    address: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(psycopg, "connect", lambda *_, **__: pytest.fail("it was asked"))
    assert main([address]) == 1
    assert "mutate-access: " in capsys.readouterr().err
    with pytest.raises(AccessError):
        run(address)


@pytest.mark.parametrize("variable", ["PGHOSTADDR", "PGSERVICE"])
def test_a_setting_that_leads_elsewhere_is_refused(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "elsewhere")
    with pytest.raises(AccessError):
        require_loopback("postgresql://postgres@127.0.0.1/postgres")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_a_database_of_this_machine_is_not_refused(host: str) -> None:
    require_loopback(f"postgresql://postgres@{host}:5432/postgres")
