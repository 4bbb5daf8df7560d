"""Prints what the handlers need of requirements.lock, versions and hashes as they are there: no tools, no tests.

Run as `python functions/requirements.py` where pyproject.toml is; functions/Dockerfile installs what it prints.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def needed(lock: str, roots: set[str]) -> list[str]:
    """The entries of a lock of pip-compile that `roots` need, by the `# via` lines under each."""
    entries = {entry.partition("==")[0]: entry for entry in re.split(r"^(?=[a-z0-9])", lock, flags=re.MULTILINE)[1:]}
    wanted = {name for name in entries if name in roots}
    while more := {
        name for name, entry in entries.items() if name not in wanted and not wanted.isdisjoint(parents(entry))
    }:
        wanted |= more
    if missing := roots - wanted:
        raise SystemExit(f"requirements.lock does not hold {', '.join(sorted(missing))}.")
    return [entries[name] for name in sorted(wanted)]


def parents(entry: str) -> set[str]:
    """Which packages asked for this one."""
    return set(re.findall(r"^    #\s+(?:via\s+)?([a-z0-9][a-z0-9-]*)$", entry, re.MULTILINE)) - {"via"}


def main() -> None:
    project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = [match.group() for line in project["dependencies"] if (match := NAME.match(line))]
    roots = {re.sub(r"[-_.]+", "-", name).lower() for name in names}
    print("".join(needed(Path("requirements.lock").read_text(encoding="utf-8"), roots)), end="")


if __name__ == "__main__":
    main()
