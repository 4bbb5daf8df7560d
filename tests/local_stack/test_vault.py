"""supabase_vault's stand-in: the documented functions, hosted grants, and a root key outside the tables.

These tests prove the stand-in only. Each runs in a transaction that is rolled back.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import errors

from scripts.local_stack.settings import Stack

Row = tuple[Any, ...]
Connection = psycopg.Connection[Row]


@pytest.fixture
def sql(stack: Stack) -> Iterator[Connection]:
    """A transaction of role postgres."""
    with psycopg.connect(stack.database_url()) as connection:
        connection.execute("create extension if not exists supabase_vault with schema vault cascade")
        yield connection
        connection.rollback()


@pytest.fixture
def admin(stack: Stack) -> Iterator[Connection]:
    """A transaction of the superuser, for what no client may do."""
    with psycopg.connect(stack.database_url("supabase_admin")) as connection:
        connection.execute("create extension if not exists supabase_vault with schema vault cascade")
        yield connection
        connection.rollback()


def one(connection: Connection, statement: str, *parameters: object) -> Any:
    row = connection.execute(statement, parameters).fetchone()
    assert row is not None
    return row[0] if len(row) == 1 else row


def decrypted(connection: Connection, secret_id: object) -> Any:
    return one(connection, "select decrypted_secret from vault.decrypted_secrets where id = %s", secret_id)


def test_a_secret_comes_back_and_is_stored_encrypted(sql: Connection) -> None:
    secret_id = one(sql, "select vault.create_secret('비밀 열쇠', 'test_name', 'what it opens')")
    row = one(
        sql,
        "select name, description, decrypted_secret, secret from vault.decrypted_secrets where id = %s",
        secret_id,
    )
    assert row[:3] == ("test_name", "what it opens", "비밀 열쇠")
    assert "비밀" not in row[3]
    assert one(sql, "select secret from vault.secrets where id = %s", secret_id) == row[3]


def test_equal_secrets_have_unequal_ciphertexts(sql: Connection) -> None:
    first, second = (one(sql, "select vault.create_secret('same')") for _ in range(2))
    assert one(sql, "select count(distinct secret) from vault.secrets where id in (%s, %s)", first, second) == 2


def test_update_changes_what_is_given_and_keeps_the_rest(sql: Connection) -> None:
    secret_id = one(sql, "select vault.create_secret('old', 'test_name', 'kept')")
    sql.execute("select vault.update_secret(%s, 'new')", [secret_id])
    assert decrypted(sql, secret_id) == "new"
    sql.execute("select vault.update_secret(%s, new_name := 'test_other')", [secret_id])
    row = one(sql, "select name, description, decrypted_secret from vault.decrypted_secrets where id = %s", secret_id)
    assert row == ("test_other", "kept", "new")


def test_a_name_is_taken_only_once(sql: Connection) -> None:
    sql.execute("select vault.create_secret('a', 'test_name')")
    with pytest.raises(errors.UniqueViolation):
        sql.execute("select vault.create_secret('b', 'test_name')")


def test_ciphertext_moved_to_another_row_is_refused(admin: Connection) -> None:
    ours, theirs = (one(admin, "select vault.create_secret(%s)", text) for text in ("ours", "theirs"))
    admin.execute(
        "update vault.secrets set (secret, nonce) = (select secret, nonce from vault.secrets where id = %s) "
        "where id = %s",
        [theirs, ours],
    )
    assert decrypted(admin, theirs) == "theirs"
    with pytest.raises(errors.ExternalRoutineInvocationException, match="Wrong key or corrupt data"):
        decrypted(admin, ours)


def test_without_the_key_file_nothing_can_be_read(admin: Connection) -> None:
    """The key is not in the database: a copy of the rows under another root key is ciphertext only."""
    secret_id = one(admin, "select vault.create_secret('secret')")
    definition: str = one(admin, "select pg_get_functiondef('vault._row_key(uuid, bytea)'::regprocedure)")
    assert "vault_root.key" in definition
    other_key = f"'{'ab' * 32}'"
    admin.execute(definition.replace("pg_read_file('vault_root.key')", other_key).encode())
    with pytest.raises(errors.ExternalRoutineInvocationException):
        decrypted(admin, secret_id)


@pytest.mark.parametrize("role", ["anon", "authenticated"])
@pytest.mark.parametrize(
    "statement",
    [
        "select * from vault.secrets",
        "select * from vault.decrypted_secrets",
        "select vault.create_secret('x')",
        "select vault.update_secret(gen_random_uuid(), 'x')",
    ],
)
def test_clients_are_kept_out(sql: Connection, role: str, statement: str) -> None:
    sql.execute(f"set local role {role}")
    with pytest.raises(errors.InsufficientPrivilege):
        sql.execute(statement)


def test_the_service_may_read_create_and_delete(sql: Connection) -> None:
    sql.execute("set local role service_role")
    secret_id = one(sql, "select vault.create_secret('x')")
    assert decrypted(sql, secret_id) == "x"
    assert sql.execute("delete from vault.secrets where id = %s", [secret_id]).rowcount == 1


@pytest.mark.parametrize(
    "statement",
    [
        "insert into vault.secrets (secret) values ('clear text')",
        "update vault.secrets set secret = 'clear text'",
        "select vault._row_key(gen_random_uuid(), '')",
        "select vault._encrypt('x', gen_random_uuid(), '')",
        "select pg_read_file('vault_root.key')",
    ],
)
def test_postgres_cannot_pass_by_the_functions(sql: Connection, statement: str) -> None:
    with pytest.raises(errors.InsufficientPrivilege):
        sql.execute(statement)


def test_postgres_may_hand_its_rights_on(sql: Connection) -> None:
    sql.execute("grant usage on schema vault to authenticated")
    sql.execute("grant select on vault.decrypted_secrets to authenticated")
    sql.execute("grant execute on function vault.create_secret to authenticated")
    sql.execute("set local role authenticated")
    assert one(sql, "select vault.create_secret('x')") is not None
