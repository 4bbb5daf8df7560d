"""Freeze the migrations of a release: from then on nobody changes, removes or precedes them.

./scripts/freeze-migrations            adds to supabase/migrations/frozen.txt every migration that is not in it
./scripts/freeze-migrations --check    only says whether what is frozen is as it was

A line is the SHA-256 of a file and its name, as sha256sum writes it. Ends with 1, and writes nothing, when a frozen
migration is not what it was: who has run it would keep another database than who begins today.
"""

from __future__ import annotations

import hashlib
import re
import sys
from collections import Counter
from pathlib import Path

from scripts.schemas import MIGRATIONS

LINE = re.compile(r"([0-9a-f]{64})  (\d{14}_[a-z0-9_]+\.sql)")


def list_of(folder: Path) -> Path:
    return folder / "frozen.txt"


def digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def written(folder: Path) -> list[str]:
    """The lines of the list, without comments."""
    file = list_of(folder)
    text = file.read_text(encoding="utf-8") if file.is_file() else ""
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def frozen(folder: Path = MIGRATIONS) -> dict[str, str]:
    """The hash of each frozen migration by its name."""
    lines = [LINE.fullmatch(line) for line in written(folder)]
    return {line[2]: line[1] for line in lines if line}


def problems(folder: Path = MIGRATIONS) -> list[str]:
    """What is not as it was frozen, a sentence each."""
    listed = frozen(folder)
    lines = [(line, LINE.fullmatch(line)) for line in written(folder)]
    found = [f"frozen.txt: no hash and name of a migration: {line}" for line, match in lines if not match]
    names = Counter(match[2] for _, match in lines if match)
    found += [f"{name} is listed {times} times." for name, times in names.items() if times > 1]
    for name, hash_ in listed.items():
        file = folder / name
        if not file.is_file():
            found.append(f"{name} is frozen and gone.")
        elif digest(file) != hash_:
            found.append(f"{name} is frozen and was changed: undo that, and write a migration that follows it.")
    last = max(listed, default="")
    for name in unfrozen(folder):
        if name < last:
            found.append(f"{name} comes before {last}, which is frozen: give it a later time.")
    return found


def unfrozen(folder: Path = MIGRATIONS) -> list[str]:
    return sorted({file.name for file in folder.glob("*.sql")} - frozen(folder).keys())


def freeze(folder: Path = MIGRATIONS) -> list[str]:
    """Add what is not frozen yet, and return the names."""
    added = unfrozen(folder)
    with list_of(folder).open("a", encoding="utf-8") as file:
        file.writelines(f"{digest(folder / name)}  {name}\n" for name in added)
    return added


def main(arguments: list[str], *, folder: Path = MIGRATIONS) -> int:
    if not set(arguments) <= {"--check"}:
        print(__doc__, file=sys.stderr)
        return 2
    if found := problems(folder):
        print("\n".join(f"freeze-migrations: {problem}" for problem in found), file=sys.stderr)
        return 1
    added = [] if arguments else freeze(folder)
    for name in added:
        print(f"freeze-migrations: {name} is frozen from now on.")
    kept = len(frozen(folder)) - len(added)
    print(f"freeze-migrations: {kept} were frozen and are as they were, {len(unfrozen(folder))} are not frozen.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
