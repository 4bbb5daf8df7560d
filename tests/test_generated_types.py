"""What is generated is what the migrations make: the types, which fit what the database answers, and the reference."""

from __future__ import annotations

import difflib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import psycopg
import pydantic
import pytest

from app.shorts import rows
from scripts import generate_schema_reference, schemas
from scripts.generate_types import FILES, python_rows, typescript_types, undefined_names
from scripts.local_stack import migrations
from scripts.local_stack.settings import REPOSITORY, Stack
from scripts.schema_catalog import read_catalog

CALLS = REPOSITORY / "tests" / "typescript" / "calls.ts"
TYPES = REPOSITORY / "supabase" / "database.types.ts"
TSC = REPOSITORY / "node_modules" / ".bin" / "tsc"
TSC_SECONDS = 120

# Each is found in calls.ts and replaced; tsc must then refuse the file.
WRONG = {
    "column of an RPC": ("row.trend_score", "row.trend_scores"),
    "name of an RPC": ('"trending_now"', '"trending_then"'),
    "type of an argument": ("limit: 10", 'limit: "ten"'),
    "name of a table": ('from("cached_videos")', 'from("cached_movies")'),
    "selected column": ("video_id, title, view_count", "video_id, heading, view_count"),
    "column of a row": ("keyword.closed_at", "keyword.ended_at"),
    "row of another table": ('Tables<"trending_keywords">', 'Tables<"users">'),
    "inserted column": ("search_volume: 100", "search_count: 100"),
    "generated column": ("search_volume: 100", 'time_slot: "night"'),
    "missing column": ("keyword, ", ""),
}


@pytest.fixture(scope="module")
def database() -> Iterator[Stack]:
    """A database of its own: other tests make tables on the shared one."""
    with schemas.empty_databases("generated-types") as (stack,):
        schemas.build_from_migrations(stack)
        yield stack


@pytest.fixture
def connection(database: Stack) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(database.database_url()) as connection:
        yield connection
        connection.rollback()


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_the_file_is_what_the_cli_prints_now(file: Path, database: Stack) -> None:
    written = file.read_text(encoding="utf-8").splitlines()
    printed = FILES[file](migrations.cli_address(database)).splitlines()
    difference = "\n".join(difflib.unified_diff(written, printed, "committed", "printed", lineterm="", n=0))
    assert difference == "", f"\n{difference}\nRun ./scripts/generate-types, and commit what it writes.\n"


def test_the_schema_reference_is_what_the_database_says_now(database: Stack) -> None:
    made = generate_schema_reference.pages(read_catalog(database.database_url()))
    written = set(generate_schema_reference.FOLDER.iterdir()) | {generate_schema_reference.INDEX}
    assert written == set(made)
    for file, text in made.items():
        difference = "\n".join(
            difflib.unified_diff(file.read_text(encoding="utf-8").splitlines(), text.splitlines(), n=0)
        )
        assert difference == "", f"{file.name}:\n{difference}\nRun ./scripts/generate-schema-reference."


def test_the_schema_reference_has_everything_that_can_be_reached(database: Stack) -> None:
    """Asked of the privileges, not of what the generator reads."""
    said = "".join(file.read_text(encoding="utf-8") for file in generate_schema_reference.FOLDER.iterdir())
    with psycopg.connect(database.database_url()) as connection:
        reached = connection.execute(REACHED).fetchall()
    assert len(reached) > 90
    assert [name for (name,) in reached if f"### `{name}`" not in said] == []
    access = (REPOSITORY / "docs" / "access.md").read_text(encoding="utf-8")
    callable_names = set(re.findall(r"^\| `(public\.\w+)\(.*\)` \| run \|.*\brun\b", access, re.MULTILINE))
    for name in callable_names:
        entry = said.partition(f"### `{name}()`")[2].partition("###")[0]
        assert generate_schema_reference.NOBODY not in entry, name


REACHED = """
    select 'public.' || relation.relname
    from pg_class as relation
    where
        relation.relnamespace = 'public'::regnamespace
        and relation.relkind in ('r', 'p', 'v')
        and not relation.relispartition
        and has_any_column_privilege('service_role', relation.oid, 'select')
    union all
    select distinct 'public.' || function.proname || '()'
    from pg_proc as function
    cross join unnest(array['anon', 'authenticated', 'service_role']) as role (name)
    where function.pronamespace = 'public'::regnamespace and has_function_privilege(role.name, function.oid, 'execute')
    union all
    select 'ops.' || relation.relname
    from pg_class as relation
    where
        relation.relnamespace = 'ops'::regnamespace
        and relation.relkind in ('r', 'p', 'v')
        and not relation.relispartition
"""


# Types that the CLI has no name for, or a wrong one.
PLANTED = """
    create type public.planted_place as (name text, floor integer);
    create table public.planted (
        id integer primary key,
        address inet not null default '192.0.2.1',
        words tsvector not null default 'one',
        direction extensions.vector(3) not null default '[1,2,3]',
        amounts float8[] not null default '{1.5}',
        handle extensions.citext not null default 'Me',
        length interval not null default '1 minute',
        place public.planted_place not null default ('hall', 1)
    );
    insert into public.planted (id) values (1);
"""


def test_a_new_table_shows_in_both_and_its_row_is_read(database: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    address = migrations.cli_address(database)
    with psycopg.connect(database.database_url(), autocommit=True) as connection:
        for extension in ("vector", "citext"):
            connection.execute(f"create extension if not exists {extension} with schema extensions".encode())
        connection.execute(PLANTED.encode())
        try:
            python, typescript = python_rows(address), typescript_types(address)
            row = connection.execute("select to_jsonb(planted) from public.planted").fetchone()
        finally:
            connection.execute("drop table public.planted; drop type public.planted_place")
    assert row is not None
    assert undefined_names(python) == []
    module = ModuleType("planted_rows")
    monkeypatch.setitem(sys.modules, module.__name__, module)  # where Pydantic looks for the names in annotations
    exec(compile(python, "planted_rows.py", "exec"), vars(module))  # noqa: S102
    read = module.PublicPlanted.model_validate(row[0])
    assert read.direction == "[1,2,3]"
    assert read.address == "192.0.2.1"
    assert read.place.floor == 1
    assert '"direction": string;' in typescript


def test_what_the_database_answers_fits_the_models(connection: psycopg.Connection[Any]) -> None:
    connection.execute("insert into public.cached_channels (channel_id, channel_title) values ('UC1', 'One')")
    answer = connection.execute(
        "insert into public.cached_videos (video_id, title, channel_id, view_count, tags)"
        " values ('video-00001', '하나', 'UC1', 1200, '{a,b}') returning to_jsonb(cached_videos)"
    ).fetchone()
    assert answer is not None
    video = rows.PublicCachedVideos.model_validate(answer[0])
    assert (video.video_id, video.view_count, video.tags) == ("video-00001", 1200, ["a", "b"])
    assert video.created_at.tzinfo is not None
    with pytest.raises(pydantic.ValidationError, match="video_id"):
        rows.PublicCachedVideos.model_validate({**answer[0], "video_id": None})


def test_every_model_is_complete() -> None:
    models = [
        each
        for each in vars(rows).values()
        if isinstance(each, type) and issubclass(each, pydantic.BaseModel) and each is not pydantic.BaseModel
    ]
    assert models
    for model in models:
        model.model_rebuild(force=True)
        assert model.model_fields


def tsc(folder: Path) -> str:
    """What tsc says of each file in a folder of calls, beside the types and the packages of this checkout."""
    (folder / "node_modules").symlink_to(REPOSITORY / "node_modules")
    (folder / "supabase").mkdir()
    (folder / "supabase" / TYPES.name).write_text(TYPES.read_text(encoding="utf-8"), encoding="utf-8")
    done = subprocess.run(
        [
            *(TSC, "--noEmit", "--strict", "--skipLibCheck", "--allowImportingTsExtensions"),
            *("--target", "es2022", "--module", "esnext", "--moduleResolution", "bundler"),
            *sorted((folder / "tests" / "typescript").glob("*.ts")),
        ],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=TSC_SECONDS,
    )
    assert done.stderr == ""
    assert (done.returncode == 0) == (done.stdout == "")
    return done.stdout


@pytest.fixture
def calls(tmp_path: Path) -> Path:
    folder = tmp_path / "tests" / "typescript"
    folder.mkdir(parents=True)
    return folder


def test_tsc_accepts_calls_of_supabase_js(calls: Path) -> None:
    (calls / CALLS.name).write_text(CALLS.read_text(encoding="utf-8"), encoding="utf-8")
    assert tsc(calls.parents[1]) == ""


def test_tsc_refuses_each_name_that_is_not_there(calls: Path) -> None:
    right = CALLS.read_text(encoding="utf-8")
    for name, (found, wrong) in WRONG.items():
        assert right.count(found) >= 1, name
        (calls / f"{name.replace(' ', '_')}.ts").write_text(right.replace(found, wrong, 1), encoding="utf-8")
    said = tsc(calls.parents[1])
    refused = set(re.findall(r"^tests/typescript/(\w+)\.ts\(\d+,\d+\): error TS\d+", said, re.MULTILINE))
    assert refused == {name.replace(" ", "_") for name in WRONG}, said
