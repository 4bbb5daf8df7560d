"""History and truth make the same database: migrations, as pushed by the CLI, against the schema files."""

from __future__ import annotations

import difflib
import re

from scripts import new_migration, schemas


def test_schemas_and_migrations_make_the_same_database() -> None:
    with schemas.empty_databases("from-migrations", "from-schemas") as (migrated, declared):
        schemas.build_from_migrations(migrated)
        schemas.build_from_schemas(declared)
        ours, theirs = schemas.dump(migrated), schemas.dump(declared)
    assert "CREATE TABLE public.trending_keywords" in theirs, "the dump is empty: the comparison would prove nothing"
    difference = "\n".join(
        difflib.unified_diff(ours.splitlines(), theirs.splitlines(), "migrations", "schemas", lineterm="")
    )
    assert ours == theirs, f"Draft what is missing with ./scripts/new-migration:\n{difference}"


def test_each_room_has_a_first_migration_made_of_its_schema_files() -> None:
    for room in schemas.rooms():
        migrations = sorted(schemas.MIGRATIONS.glob(f"*_{room}_*.sql"))
        assert migrations, f"Write it with ./scripts/new-migration {room}_first"
        assert migrations[0].name.endswith(f"_{room}_first.sql")
        if len(migrations) == 1:  # with a second one, the first is history and the schema files have gone on
            written = migrations[0].read_text(encoding="utf-8")
            assert written == new_migration.PRELUDE + schemas.joined(room)


def test_the_floor_is_built_before_every_room() -> None:
    assert schemas.rooms()[0] == schemas.FLOOR
    firsts = sorted(schemas.MIGRATIONS.glob("*_first.sql"))
    assert firsts[0].name.endswith(f"_{schemas.FLOOR}_first.sql")


def test_no_room_names_what_another_room_creates() -> None:
    """The catalog cannot tell whose a helper in `private` is; the folders can."""
    created = {
        room: set(
            re.findall(r"create (?:table|type|view|function) ((?:public|private|ops)\.\w+)", schemas.joined(room))
        )
        for room in schemas.rooms()
    }
    assert all(created.values())
    for room in schemas.rooms():
        text = schemas.joined(room)
        for other in schemas.rooms():
            if other in (room, schemas.FLOOR):
                continue
            named = {name for name in created[other] if re.search(rf"\b{re.escape(name)}\b", text)}
            assert not named, f"{room} names what {other} creates: {sorted(named)}"
