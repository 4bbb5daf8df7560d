"""A migration that was released stays as it is: supabase/migrations/frozen.txt says which, and what they were."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from scripts import new_migration, schemas
from scripts.freeze_migrations import freeze, frozen, main, problems
from scripts.local_stack.errors import StackError

FIRST = "20260101000000_floor_first.sql"
SECOND = "20260102000000_room_first.sql"
THIRD = "20260103000000_room_more.sql"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in (FIRST, SECOND):
        (tmp_path / name).write_text(f"-- {name}\nselect 1;\n", encoding="utf-8")
    return tmp_path


def test_what_is_frozen_is_as_it_was() -> None:
    assert problems() == []


def test_every_migration_can_be_frozen_and_no_byte_of_it_changes_unseen(tmp_path: Path) -> None:
    """The real ones, in a copy."""
    copy = tmp_path / "migrations"
    shutil.copytree(schemas.MIGRATIONS, copy)
    freeze(copy)
    names = sorted(file.name for file in schemas.MIGRATIONS.glob("*.sql"))
    assert sorted(frozen(copy)) == names
    assert problems(copy) == []
    for name in names:
        before = (copy / name).read_bytes()
        for after in (before + b"\n", before[:-1], before.replace(b"5s", b"6s", 1), before.replace(b"\n", b"\r\n")):
            (copy / name).write_bytes(after)
            assert [problem.partition(" ")[0] for problem in problems(copy)] == [name]
        (copy / name).write_bytes(before)
    assert problems(copy) == []


def test_what_follows_is_added_and_what_is_there_stays(folder: Path) -> None:
    assert freeze(folder) == [FIRST, SECOND]
    before = (folder / "frozen.txt").read_bytes()
    assert freeze(folder) == []
    (folder / THIRD).write_text("select 3;\n", encoding="utf-8")
    assert problems(folder) == []
    assert freeze(folder) == [THIRD]
    assert (folder / "frozen.txt").read_bytes().startswith(before)
    subprocess.run(["sha256sum", "--check", "--strict", "--quiet", "frozen.txt"], cwd=folder, check=True)


def test_a_frozen_migration_that_is_gone_renamed_or_preceded_is_told(folder: Path) -> None:
    freeze(folder)
    (folder / SECOND).rename(folder / THIRD)
    assert problems(folder) == [f"{SECOND} is frozen and gone."]
    (folder / THIRD).rename(folder / SECOND)
    early = "20260101120000_room_early.sql"
    (folder / early).write_text("select 0;\n", encoding="utf-8")
    assert problems(folder) == [f"{early} comes before {SECOND}, which is frozen: give it a later time."]


def test_a_list_that_cannot_be_read_is_told(folder: Path) -> None:
    freeze(folder)
    line = (folder / "frozen.txt").read_text(encoding="utf-8").splitlines()[0]
    (folder / "frozen.txt").write_text(f"# Why.\n\n{line}\n{line}\n{FIRST}\n{FIRST}\n", encoding="utf-8")
    assert problems(folder) == [
        *[f"frozen.txt: no hash and name of a migration: {FIRST}"] * 2,
        f"{FIRST} is listed 2 times.",
    ]


def test_the_command_freezes_and_refuses_when_something_was_changed(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--check"], folder=folder) == 0
    assert not (folder / "frozen.txt").exists()
    assert main([], folder=folder) == 0
    assert f"{SECOND} is frozen from now on." in capsys.readouterr().out
    (folder / FIRST).write_text("select 2;\n", encoding="utf-8")
    (folder / THIRD).write_text("select 3;\n", encoding="utf-8")
    for arguments in (["--check"], []):
        assert main(arguments, folder=folder) == 1
        assert f"{FIRST} is frozen and was changed" in capsys.readouterr().err
    assert list(frozen(folder)) == [FIRST, SECOND]
    assert main(["--unknown"], folder=folder) == 2


def test_a_first_migration_that_is_frozen_is_not_drafted_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = tmp_path / "migrations"
    shutil.copytree(schemas.MIGRATIONS, copy)
    monkeypatch.setattr(schemas, "MIGRATIONS", copy)
    freeze(copy)
    with pytest.raises(StackError, match="frozen"):
        new_migration.write_first(schemas.FLOOR)
    assert problems(copy) == []
