"""pgspot's reading of the schema files: nothing hides behind a statement that it cannot read."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts import schemas, spot_sql

FIXED = "set search_path = pg_catalog, pg_temp"
SEAL = """
create function private.seal()
returns void
{security}
language plpgsql
as $$
declare
    sealed private.records%rowtype;
begin
    sealed.ids := array[1];
end
$$;
"""
PLANTED = f"""
-- Promises nothing.
create table public.notes (id integer);
{SEAL.format(security=FIXED)}

create function private.one() returns integer security definer language sql as $$ select 1 $$;
-- It's the empty path that pg_temp stands before.
create function private.two() returns integer security definer set search_path = '' language sql as $$ select 2 $$;
create function private.three() returns integer language sql as $$ select 3 $$;
create function private.four() returns integer security definer {FIXED} language sql as $$ select 4 $$;
{SEAL.format(security="security definer")}
"""


@pytest.fixture
def planted(tmp_path: Path) -> Path:
    file = tmp_path / "planted.sql"
    file.write_text(PLANTED, encoding="utf-8")
    return file


def line_of(text: str, *, last: bool = False) -> int:
    at = PLANTED.rindex(text) if last else PLANTED.index(text)
    return PLANTED.count("\n", 0, at) + 1


def test_every_function_without_a_safe_path_is_found(planted: Path) -> None:
    found = {line.removeprefix(f"{planted}:").partition(":")[0] for line in spot_sql.spot([planted])}
    assert found == {
        str(line_of("create function private.one")),
        str(line_of("create function private.two")),
        str(line_of("create function private.three")),
        str(line_of("create function private.seal", last=True)),
    }


def test_what_is_found_is_named(planted: Path) -> None:
    said = "\n".join(spot_sql.spot([planted]))
    assert "PS003: SECURITY DEFINER function without explicit search_path: private.one" in said
    assert "PS004: SECURITY DEFINER function with insecure search_path: private.two" in said
    assert "PS005: Function without explicit search_path: private.three" in said


def test_a_file_that_cannot_be_read_is_a_finding(tmp_path: Path) -> None:
    file = tmp_path / "broken.sql"
    file.write_text("select 1;\ncreate tabel public.notes (id integer);\n", encoding="utf-8")
    assert "syntax error" in "\n".join(spot_sql.spot([file]))


def test_a_body_that_cannot_be_read_is_a_finding(tmp_path: Path) -> None:
    file = tmp_path / "body.sql"
    file.write_text(
        f"create function private.one() returns void {FIXED} language plpgsql as $$ begin selec 1; end $$;",
        encoding="utf-8",
    )
    assert len(spot_sql.spot([file])) == 1


def test_of_few_functions_only_the_head_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    real = spot_sql.pgspot

    def counted(statements: dict[str, str], *options: str) -> dict[str, list[str]]:
        asked.append(len(statements))
        return real(statements, *options)

    monkeypatch.setattr(spot_sql, "pgspot", counted)
    assert spot_sql.spot(sorted(schemas.SCHEMAS.rglob("*.sql"))) == []
    every, heads = asked
    assert every > 500
    assert heads < every / 50
