"""List the ids of tests/ledger.tsv that no test carries; ends with 1 when there are any.

./scripts/untested-ids          of the issues up to the one that the file calls finished
./scripts/untested-ids --all    of every issue
./scripts/untested-ids --json   as JSON, with --all or without

A test carries S-123 when the id stands, as S-123 or S_123, in what says what the test proves:

- supabase/tests/**/*.sql: in a text between single quotes, as the description of a pgTAP test is
- tests/**/test_*.py: in the name, docstring or decorators of a test function or class, or in a constant of the module,
  as the table behind a parametrize is
- tests/**/*.mjs, supabase/functions/tests/*.ts: in the name given to test()

A comment does not count, nor the body of a function; of a range, only its two ends count.
"""

from __future__ import annotations

import ast
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from scripts.local_stack.settings import REPOSITORY

LEDGER = REPOSITORY / "tests" / "ledger.tsv"
FINISHED = re.compile(r"^# finished: (\d+)$", re.MULTILINE)
ID = re.compile(r"(?<![A-Za-z0-9])S[-_](\d{3})(?!\d)")

# A comment, a name, the text between two $tags$, or a text between single quotes: what comes first wins.
SQL = re.compile(
    r"""
    --[^\n]* | /\*.*?\*/ | "[^"]*"
    | \$(?P<tag>\w*)\$(?P<body>.*?)\$(?P=tag)\$
    | \b[eE]'(?P<escaped>(?:[^'\\]|\\.|'')*)'
    | '(?P<plain>(?:[^']|'')*)'
    """,
    re.DOTALL | re.VERBOSE,
)
SCRIPT = re.compile(
    r"^\s*//[^\n]*|/\*.*?\*/|\b(?:test|it|describe)(?:\.\w+)*\(\s*(\"[^\"\n]*\"|'[^'\n]*'|`[^`]*`)",
    re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True)
class Entry:
    """One line of the ledger: what has to be there, and the issue that owes the test."""

    id: str
    name: str
    kind: str
    issue: int


def ledger(file: Path = LEDGER) -> tuple[int, list[Entry]]:
    """The newest finished issue, and every entry."""
    text = file.read_text(encoding="utf-8")
    finished = FINISHED.search(text)
    assert finished, f"{file.name} does not say which issue is finished"
    lines = [line.split("\t") for line in text.splitlines() if line and not line.startswith("#")]
    return int(finished[1]), [Entry(number, name, kind, int(issue)) for number, name, kind, issue in lines]


def ids(text: str) -> set[str]:
    return {f"S-{number}" for number in ID.findall(text)}


def in_sql(source: str) -> set[str]:
    found = set[str]()
    for token in SQL.finditer(source):
        if token["body"] is not None:  # a function, whose texts are texts too
            found |= in_sql(token["body"])
        else:
            found |= ids(token["escaped"] or token["plain"] or "")
    return found


def in_script(source: str) -> set[str]:
    return {found for name in SCRIPT.findall(source) for found in ids(name)}


def in_python(source: str) -> set[str]:
    return {found for text in spoken(ast.parse(source).body) for found in ids(text)}


def spoken(body: list[ast.stmt]) -> Iterator[str]:
    """What tests say of themselves: names, docstrings, decorators, and the constants that decorators name."""
    for node in body:
        if isinstance(node, (ast.Assign, ast.AnnAssign)):
            yield from strings(node)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            if not node.name.startswith(("test_", "Test")):
                continue
            yield node.name
            yield ast.get_docstring(node) or ""
            for decorator in node.decorator_list:
                yield from strings(decorator)
            if isinstance(node, ast.ClassDef):
                yield from spoken(node.body)


def strings(node: ast.AST) -> Iterator[str]:
    for each in ast.walk(node):
        if isinstance(each, ast.Constant) and isinstance(each.value, str):
            yield each.value


READERS = (
    ("supabase/tests", "*.sql", in_sql),
    ("tests", "test_*.py", in_python),
    ("tests", "*.mjs", in_script),
    ("supabase/functions/tests", "*.ts", in_script),
)


def carried(repository: Path = REPOSITORY) -> dict[str, list[str]]:
    """Each id that tests carry, with their files."""
    found: dict[str, list[str]] = {}
    for folder, pattern, read in READERS:
        for file in sorted((repository / folder).rglob(pattern)):
            for each in read(file.read_text(encoding="utf-8")):
                found.setdefault(each, []).append(str(file.relative_to(repository)))
    return dict(sorted(found.items()))


def untested(*, every: bool = False) -> list[Entry]:
    finished, entries = ledger()
    have = carried()
    return [entry for entry in entries if entry.id not in have and (every or entry.issue <= finished)]


def main(arguments: list[str]) -> int:
    if not set(arguments) <= {"--all", "--json"}:
        print(__doc__, file=sys.stderr)
        return 2
    left = untested(every="--all" in arguments)
    if "--json" in arguments:
        print(json.dumps([asdict(entry) for entry in left], ensure_ascii=False, indent=2))
    else:
        for entry in left:
            print(f"{entry.id}  issue {entry.issue:<2}  {entry.kind:<13}  {entry.name}")
        _, entries = ledger()
        print(f"untested-ids: {len(left)} without a test; {len(carried())} of all {len(entries)} have one.")
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
