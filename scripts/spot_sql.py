"""Run pgspot over each statement of supabase/schemas by itself; prints what it finds, and ends with 1 then.

By itself, because pgspot leaves a file at the first statement that it cannot read, and what stands below goes unseen.

Left out: PS001, PS010, PS016 and PS017, of names and schemas without a fixed path. Functions have one, or PS003 to
PS005 say so; elsewhere names are looked up once, by the role that runs the migration.

The parser of PL/pgSQL that pgspot uses knows no types, so it stops at the field of a variable that is a row. Of such a
function only the head is read: its path and its security.
"""

from __future__ import annotations

import re
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import pglast

from scripts.local_stack.settings import REPOSITORY
from scripts.schemas import SCHEMAS

PGSPOT = Path(sysconfig.get_path("scripts")) / "pgspot"
SECONDS = 120
IGNORED = ("PS001", "PS010", "PS016", "PS017")
FIELD_OF_A_ROW = re.compile(r"^\S+ is not a known variable$")
LINE = re.compile(r" at line \d+$")  # of the statement: pgspot knows only one
SUMMARY = re.compile(r"^ Errors: \d+ Warnings: \d+ Unknown: \d+ *$")


def spot(files: Iterable[Path]) -> list[str]:
    """What pgspot says of the statements of these files, each with its place."""
    found: list[str] = []
    placed: dict[str, str] = {}
    for file in files:
        text = file.read_text(encoding="utf-8")
        place = file.relative_to(REPOSITORY) if file.is_relative_to(REPOSITORY) else file
        try:
            for part in pglast.split(text, only_slices=True):
                assert isinstance(part, slice)
                # A slice begins with what stands above its statement: blank lines, comments.
                lead = re.match(r"(?:\s+|--[^\n]*)*", text[part])
                assert lead
                begin = part.start + lead.end()
                placed[f"{place}:{text.count(chr(10), 0, begin) + 1}"] = text[begin : part.stop]
        except pglast.parser.ParseError as error:
            found.append(f"{place}: {error}")
    said = pgspot(placed)
    heads = {place: placed[place] for place, lines in said.items() if any(map(FIELD_OF_A_ROW.match, lines))}
    said.update(pgspot(heads, "--no-plpgsql"))
    return found + [f"{place}: {line}" for place, lines in said.items() for line in lines]


def pgspot(statements: Mapping[str, str], *options: str) -> dict[str, list[str]]:
    """The lines that pgspot prints of each statement; none of most."""
    if not statements:
        return {}
    with tempfile.TemporaryDirectory() as folder:
        names = [f"{folder}/{number}" for number in range(len(statements))]
        for name, statement in zip(names, statements.values(), strict=True):
            Path(name).write_text(statement, encoding="utf-8")
        # With one file alone it does not name it.
        (empty := Path(folder) / "empty").touch()
        ignored = [word for code in IGNORED for word in ("--ignore", code)]
        done = subprocess.run(
            [PGSPOT, *ignored, *options, *names, empty],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
        )
    heading = re.compile(rf"^{re.escape(folder)}/(\w+): $", re.MULTILINE)
    _, *parts = heading.split(done.stdout)
    said = dict(zip(parts[::2], parts[1::2], strict=True))
    if set(said) != {*map(str, range(len(statements))), "empty"} or done.stderr:
        raise RuntimeError(f"pgspot ended with {done.returncode}, not having read everything: {done.stderr[-2000:]}")
    return {
        place: [LINE.sub("", line.strip()) for line in said[str(number)].splitlines() if is_news(line)]
        for number, place in enumerate(statements)
    }


def is_news(line: str) -> bool:
    return bool(line.strip()) and not SUMMARY.match(line)


def main() -> int:
    files = sorted(SCHEMAS.rglob("*.sql"))
    assert files, "there is no schema file"
    found = spot(files)
    print("\n".join(found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
