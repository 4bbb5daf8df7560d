"""Draft a migration from what changed in supabase/schemas, for a person to read.

./scripts/new-migration shorts_first            a room's first migration: its schema files joined
./scripts/new-migration shorts_tune_velocity    later: the difference between migrations and schemas
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

from scripts import freeze_migrations, schemas
from scripts.local_stack import migrations
from scripts.local_stack.errors import StackError
from scripts.local_stack.settings import REPOSITORY

# A migration that would wait for a busy table gives up, instead of making everybody wait behind it.
PRELUDE = "set local lock_timeout = '5s';\nset local statement_timeout = '10min';\n\n"


def main(arguments: list[str]) -> int:
    if len(arguments) != 1 or arguments[0].startswith("-"):
        print(__doc__, file=sys.stderr)
        return 2
    try:
        file = draft(arguments[0])
    except StackError as error:
        print(f"new-migration: {error}", file=sys.stderr)
        return 1
    print(f"new-migration: wrote {file.relative_to(REPOSITORY)}; read it before you commit it.")
    return 0


def draft(name: str) -> Path:
    """Write the migration `<room>_<what>` and return its file."""
    room, _, what = name.partition("_")
    if room not in schemas.rooms() or not what:
        raise StackError(
            f"{name} does not begin with a room and an underscore.",
            next_step=f"Begin with one of: {', '.join(room + '_' for room in schemas.rooms())}.",
        )
    if what == "first":
        return write_first(room)
    statements = difference()
    if not statements:
        raise StackError(
            "Migrations and schema files make the same database already.",
            next_step="Change a file in supabase/schemas first.",
        )
    return write(new_file(name), statements)


def write_first(room: str) -> Path:
    """Join the room's files; until it is frozen this rewrites the same migration."""
    written = sorted(schemas.MIGRATIONS.glob(f"*_{room}_*.sql"))
    if len(written) > 1:
        raise StackError(
            f"The room {room} has later migrations: its first one is history.",
            next_step=f"Draft what changed: ./scripts/new-migration {room}_<what>.",
        )
    if written and written[0].name in freeze_migrations.frozen(schemas.MIGRATIONS):
        raise StackError(
            f"The first migration of {room} was released: it is frozen.",
            next_step=f"Draft what changed: ./scripts/new-migration {room}_<what>.",
        )
    return write(written[0] if written else new_file(f"{room}_first"), schemas.joined(room))


def new_file(name: str) -> Path:
    """A file whose time is now and later than every other migration's."""
    taken = [int(file.name.partition("_")[0]) for file in schemas.MIGRATIONS.glob("*.sql")]
    now = int(datetime.now(UTC).strftime("%Y%m%d%H%M%S"))
    return schemas.MIGRATIONS / f"{max([now, *(time + 1 for time in taken)])}_{name}.sql"


def write(file: Path, text: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(PRELUDE + text, encoding="utf-8")
    return file


def difference() -> str:
    """What `supabase db diff` says leads from the migrations to the schema files."""
    with schemas.empty_databases("from-migrations", "from-schemas") as (before, after):
        schemas.build_from_migrations(before)
        schemas.build_from_schemas(after)
        addresses = (f"--from={migrations.cli_address(before)}", f"--to={migrations.cli_address(after)}")
        done = migrations.run_cli(REPOSITORY, "db", "diff", *addresses)
    if done.returncode != 0:
        raise StackError(
            f"supabase db diff ended with {done.returncode}: {(done.stderr or done.stdout).strip()}",
            next_step="Write the migration by hand: tests/test_schemas_match_migrations.py still judges it.",
        )
    return done.stdout


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
