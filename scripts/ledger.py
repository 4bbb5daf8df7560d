"""Print every id of tests/ledger.tsv with the tests that carry it, or the sentence why none can.

./scripts/ledger            a line an id: id, stage, object, files of tests
./scripts/ledger --open     only the ids that have neither a test nor a sentence
./scripts/ledger --json     every test by its name; with --open or without

Ends with 1 when an id has neither, listed or not.

A test carries S-123 when the id stands, as S-123, S_123 or s_123, in what says what the test proves:

- supabase/tests/**/*.sql: in a text between single quotes, as the description of a pgTAP test is
- tests/**/test_*.py: in the name, docstring or decorators of a test function or class, or in a constant of the module,
  as the table behind a parametrize is
- tests/**/*.mjs, supabase/functions/tests/*.ts, web/test/*.ts: in the name given to test()

A comment does not count, nor the body of a function; of a range, only its two ends count.
"""

from __future__ import annotations

import ast
import json
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from scripts.local_stack.settings import REPOSITORY

LEDGER = REPOSITORY / "tests" / "ledger.tsv"
FINISHED = re.compile(r"^# finished: (\d+)$", re.MULTILINE)
ID = re.compile(r"(?<![A-Za-z0-9])[Ss][-_](\d{3})(?!\d)")
STAGES = {
    3: "floor",
    4: "store",
    5: "ingest",
    6: "detect",
    7: "serve",
    8: "notify",
    9: "people",
    10: "operate",
}

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
    """One line of the ledger: what has to be there, the issue that owes the test, and why none can be, if so."""

    id: str
    name: str
    kind: str
    issue: int
    why_not: str = ""

    @property
    def stage(self) -> str:
        return STAGES[self.issue]


@dataclass(frozen=True)
class Carrier:
    """A test that carries an id: its file, and what it is called there."""

    file: str
    test: str


def read(file: Path = LEDGER) -> tuple[int, list[Entry]]:
    """The newest finished issue, and every entry."""
    text = file.read_text(encoding="utf-8")
    finished = FINISHED.search(text)
    assert finished, f"{file.name} does not say which issue is finished"
    lines = [line.split("\t") for line in text.splitlines() if line and not line.startswith("#")]
    return int(finished[1]), [
        Entry(number, name, kind, int(issue), *rest) for number, name, kind, issue, *rest in lines
    ]


def ids(text: str) -> set[str]:
    return {f"S-{number}" for number in ID.findall(text)}


def texts_in_sql(source: str) -> Iterator[str]:
    """Every text between single quotes, as it is meant; of functions, whose texts are texts too, as well."""
    for token in SQL.finditer(source):
        if token["body"] is not None:
            yield from texts_in_sql(token["body"])
        else:
            yield (token["escaped"] or token["plain"] or "").replace("''", "'")


def in_sql(source: str) -> Iterator[tuple[str, str]]:
    """Each id with the description that it stands in."""
    for text in texts_in_sql(source):
        yield from ((found, text) for found in ids(text))


def in_script(source: str) -> Iterator[tuple[str, str]]:
    for name in SCRIPT.findall(source):
        yield from ((found, name[1:-1]) for found in ids(name))


def in_python(source: str) -> Iterator[tuple[str, str]]:
    for name, text in spoken(ast.parse(source).body):
        yield from ((found, name) for found in ids(text))


def spoken(body: list[ast.stmt]) -> Iterator[tuple[str, str]]:
    """What tests say of themselves: names, docstrings, decorators, and the constants that decorators name."""
    for node in body:
        if isinstance(node, (ast.Assign, ast.AnnAssign)):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            yield from ((ast.unparse(target), text) for text in strings(node))
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            if not node.name.startswith(("test_", "Test")):
                continue
            yield node.name, node.name
            yield node.name, ast.get_docstring(node) or ""
            for decorator in node.decorator_list:
                yield from ((node.name, text) for text in strings(decorator))
            if isinstance(node, ast.ClassDef):
                yield from ((f"{node.name}::{name}", text) for name, text in spoken(node.body))


def strings(node: ast.AST) -> Iterator[str]:
    for each in ast.walk(node):
        if isinstance(each, ast.Constant) and isinstance(each.value, str):
            yield each.value


Reader = Callable[[str], Iterator[tuple[str, str]]]
READERS: tuple[tuple[str, str, Reader], ...] = (
    ("supabase/tests", "*.sql", in_sql),
    ("tests", "test_*.py", in_python),
    ("tests", "*.mjs", in_script),
    ("supabase/functions/tests", "*.ts", in_script),
    ("web/test", "*.ts", in_script),
)


def carried(repository: Path = REPOSITORY) -> dict[str, list[Carrier]]:
    """Each id that tests carry, with those tests, each once."""
    found: dict[str, dict[Carrier, None]] = {}
    for folder, pattern, reader in READERS:
        for file in sorted((repository / folder).rglob(pattern)):
            for each, test in reader(file.read_text(encoding="utf-8")):
                carrier = Carrier(file.relative_to(repository).as_posix(), test)
                found.setdefault(each, {})[carrier] = None
    return {each: list(carriers) for each, carriers in sorted(found.items())}


def untested(*, up_to_issue: int = max(STAGES)) -> list[Entry]:
    """Entries of issues up to this one that have neither a test nor a sentence why not."""
    have = carried()
    return [entry for entry in read()[1] if entry.id not in have and not entry.why_not and entry.issue <= up_to_issue]


def line(entry: Entry, tests: list[Carrier]) -> str:
    files = Counter(carrier.file for carrier in tests)
    said = ", ".join(f"{file} x{times}" if times > 1 else file for file, times in files.items())
    return f"{entry.id}  {entry.stage:<7}  {entry.name:<50}  {said or entry.why_not or '(none)'}"


def main(arguments: list[str]) -> int:
    if not set(arguments) <= {"--open", "--json"}:
        print(__doc__, file=sys.stderr)
        return 2
    entries, have = read()[1], carried()
    left = untested()
    shown = left if "--open" in arguments else entries
    if "--json" in arguments:
        rows = [
            {**asdict(entry), "stage": entry.stage, "tests": [asdict(carrier) for carrier in have.get(entry.id, [])]}
            for entry in shown
        ]
        print(json.dumps(rows, ensure_ascii=False, indent=2))
    else:
        for entry in shown:
            print(line(entry, have.get(entry.id, [])))
        tested = sum(entry.id in have for entry in entries)
        explained = sum(entry.id not in have and bool(entry.why_not) for entry in entries)
        print(
            f"ledger: of {len(entries)} ids {tested} have a test, {explained} a sentence why not, {len(left)} neither."
        )
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
