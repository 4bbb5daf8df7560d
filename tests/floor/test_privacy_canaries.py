"""Canary people sign up, move and are erased; their addresses are then looked for in everything that was written."""

from __future__ import annotations

import base64
import subprocess
from collections.abc import Iterator
from uuid import uuid4

import psycopg
import pytest

from scripts.local_stack import debian_root, postgres
from scripts.local_stack.settings import Stack

PEOPLE = 1_000
MOVED = 300
ERASED = 100


def forms(marker: str) -> dict[str, str]:
    """How a marker would be spelled in a text, in bytea and in base64, wherever in the encoded text it stands."""
    raw = marker.encode()
    spelled = {"clear": marker, "hex": raw.hex(), "reversed": marker[::-1]}
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + raw).decode()
        # The first characters also hold what stands before the marker, the last ones what stands after it.
        spelled[f"base64 at {shift}"] = encoded[4 if shift else 0 : -4]
    return spelled


def leaks(text: str, marker: str) -> list[str]:
    lowered = text.lower()
    return [
        f"{form}: {lowered[max(0, at - 80) : at + 80]}"
        for form, spelled in forms(marker).items()
        if (at := lowered.find(spelled.lower())) >= 0
    ]


def dump(stack: Stack, *arguments: str) -> str:
    command = [f"{debian_root.BINARIES}/pg_dump", *arguments, stack.database_url("supabase_admin")]
    done = subprocess.run(postgres.in_root(stack, command), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def everything_but_auth(stack: Stack) -> str:
    """Auth keeps the addresses that people sign in with: that is its business, and the only copy in clear."""
    return dump(stack, "--exclude-schema=auth")


def server_log(stack: Stack) -> str:
    return (stack.logs / "postgres.log").read_text(encoding="utf-8", errors="replace")


@pytest.fixture
def marker(stack: Stack) -> Iterator[str]:
    """What all canaries of a test have in their addresses and nothing else has."""
    unique = f"canary{uuid4().hex}"
    yield unique
    with psycopg.connect(stack.database_url()) as connection:
        connection.execute("delete from auth.users where email like %s", (f"%{unique}%",))
        connection.execute("delete from ops.alerts where kind = 'canary'")


def test_d69_canaries_leave_no_address_outside_of_auth(stack: Stack, marker: str) -> None:
    with psycopg.connect(stack.database_url()) as connection:
        connection.execute(
            """
            insert into auth.users (id, email, raw_user_meta_data)
            select
                gen_random_uuid(),
                format('k%%s-%%s@%%s.example.com', number, %(marker)s::text, %(marker)s::text),
                '{"name": "a canary"}'
            from generate_series(1, %(people)s) as number
            """,
            {"marker": marker, "people": PEOPLE},
        )
    with psycopg.connect(stack.database_url()) as connection:
        connection.execute(
            """
            update auth.users
            set email = 'moved-' || email
            where id in (select id from auth.users where email like %s order by email limit %s)
            """,
            (f"%{marker}%", MOVED),
        )
        connection.execute(
            """
            insert into public.user_tiers (user_id, tier, source)
            select id, 'premium', 'operator' from auth.users where email like %s order by email limit %s
            """,
            (f"%{marker}%", MOVED),
        )
        connection.execute(
            "update public.users set name = 'changed' where id in (select id from auth.users where email like %s)",
            (f"%{marker}%",),
        )
    with psycopg.connect(stack.database_url()) as connection:
        shown = connection.execute("select email from public.users_secure where email like %s", (f"%{marker}%",))
        assert len(shown.fetchall()) == PEOPLE, "the canaries are not there: nothing would be proven"
        connection.execute("select ops.rotate_encryption_key('default')")
        connection.execute("select ops.reencrypt_batch(10000)")
    with psycopg.connect(stack.database_url()) as connection:
        connection.execute("set role service_role")
        erased = connection.execute(
            "select id, public.erase_user(id) #>> '{erased,shorts,users}' from public.users_secure"
            " where email like %s order by email limit %s",
            (f"%{marker}%", ERASED),
        ).fetchall()
    assert [count for _, count in erased] == ["1"] * ERASED

    text = everything_but_auth(stack)
    assert "COPY public.users " in text
    assert "m***@e***.com" in text or "m***@" in text, "the dump has no masked address: it has no canary"
    assert leaks(text, marker) == []
    assert leaks(server_log(stack), marker) == []
    with psycopg.connect(stack.database_url("supabase_admin")) as connection:
        statements = connection.execute("select query from extensions.pg_stat_statements").fetchall()
    assert leaks("\n".join(query or "" for (query,) in statements), marker) == []

    # Of the erased nothing is left to tell who they were: in Auth no row, elsewhere no row of theirs.
    in_auth = dump(stack, "--schema=auth", "--data-only")
    assert leaks(in_auth, marker) != [], "Auth does not have those who stayed"
    people = "\n".join(
        part for part in text.split("\nCOPY ") if part.startswith(("public.", "private.", "realtime.", "net."))
    )
    for person, _ in erased:
        assert str(person) not in in_auth
        assert str(person) not in people


@pytest.mark.parametrize(
    "plant",
    [
        "{marker}",
        "{hex}",
        "{base64}",
        "{base64_inside}",
    ],
)
def test_a_planted_leak_is_found(stack: Stack, marker: str, plant: str) -> None:
    address = f"someone-{marker}@example.com"
    planted = plant.format(
        marker=f"a mail to {address.upper()}",
        hex=f"\\x{address.encode().hex()}",
        base64=base64.b64encode(address.encode()).decode(),
        base64_inside=base64.b64encode(f"x{address}".encode()).decode(),
    )
    with psycopg.connect(stack.database_url()) as connection:
        connection.execute("select ops.raise_alert('canary', 'planted', %s)", (planted,))
    assert leaks(everything_but_auth(stack), marker) != []


def test_a_leak_into_the_log_is_found(stack: Stack, marker: str) -> None:
    with psycopg.connect(stack.database_url()) as connection:
        connection.add_notice_handler(lambda _: None)
        connection.execute("do $$begin raise warning 'sign-up of " + marker + "@example.com failed'; end$$")
    assert leaks(server_log(stack), marker) != []
