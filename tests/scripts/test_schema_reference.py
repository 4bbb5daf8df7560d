"""How the schema reference reads docs/access.md, comments and defaults, without a database."""

from __future__ import annotations

import pytest

from scripts.generate_schema_reference import (
    code_list,
    first_sentence,
    part_of,
    prose,
    read_access,
    read_codes,
    short,
    stage_of_job,
    who,
)
from scripts.local_stack.errors import StackError
from scripts.schema_catalog import Catalog, Job, Relation, stage_of


def test_equal_cells_stand_together() -> None:
    assert who(["–", "own (a, b)", "own (a, b)", "all", "all"]) == (
        "own rows, some columns for signed in, premium; every row for admin, service"
    )
    assert who(["some: `x > 1`", "none", "–", "–", "–"]) == "some rows for anonymous; no row for signed in"
    assert who(["–"] * 5) == "nobody"


def test_the_tables_of_other_pages_are_read() -> None:
    access = read_access()
    assert [command for command, _ in access["public.cached_videos"]] == ["select", "insert, update, delete"]
    assert access["public.add_my_webhook(text,text[],text)"] == [("run", ["–", "run", "run", "run", "–"])]
    assert read_codes()["public.search_videos"][:1] == ["PT400"]


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (
            "at timestamp with time zone DEFAULT now(), region text DEFAULT NULL::text",
            "`at timestamptz = now()`, `region text = null`",
        ),
        ("a text[] DEFAULT '{x,y}'::text[], b numeric(3,2)", "`a text[] = '{x,y}'`, `b numeric(3,2)`"),
        ("", ""),
    ],
)
def test_arguments_are_short(said: str, shown: str) -> None:
    assert code_list(said) == shown


def test_a_default_loses_its_cast_only() -> None:
    assert short("'free'::tier_enum") == "'free'::tier_enum"
    assert short("'{}'::jsonb") == "'{}'"
    assert short("(now() + '7 days'::interval)") == "(now() + '7 days'::interval)"


def test_a_comment_is_text_and_not_markup() -> None:
    assert prose("webhook_<id> is\n  audit_*") == "webhook_\\<id> is audit_\\*"
    assert first_sentence("Keeps e.g. one. Never two.") == "Keeps e.g. one."
    assert first_sentence(None) == ""


def test_an_object_stands_in_the_stage_of_its_file() -> None:
    assert stage_of("table", "public.cached_videos") == "store"
    assert stage_of("table", "public.trending_keywords") == "detect"
    assert stage_of("function", "public.search_videos") == "serve"
    assert stage_of("table", "ops.outbox") == "floor"
    assert stage_of_job(Job("shorts-x", "* * * * *", {"private.fold_counters": "Folds."})) == "store"
    assert stage_of_job(Job("floor-x", "* * * * *", None)) == "floor"


def test_what_no_schema_file_makes_is_an_error() -> None:
    stray = Relation("public.stray", "table", None, None, [], None, None)
    with pytest.raises(StackError, match=r"create table public\.stray"):
        part_of(Catalog(relations=[stray]), "store")
