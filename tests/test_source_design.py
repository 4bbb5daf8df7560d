"""docs/source-design.md: every defect and contradiction stands there once, and every test that it names is there."""

from __future__ import annotations

import ast
import re
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from scripts.ledger import texts_in_sql
from scripts.local_stack.settings import REPOSITORY

PAGE = REPOSITORY / "docs" / "source-design.md"
NUMBERS = [*(f"D{number}" for number in range(1, 79)), *(f"C-{number:02}" for number in range(1, 37))]
# What nothing proves yet: a row that says "no test:" and is not here fails, and so does one here that has got a test.
WITHOUT_TEST = {"D75"}

PYTEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
PGTAP = re.compile(r'`([\w/]+\.sql)` "([^"]+)"')
ALLOWED = re.compile(rf"(?:{PYTEST.pattern}|{PGTAP.pattern})(?:; (?:{PYTEST.pattern}|{PGTAP.pattern}))*")
NO_TEST = re.compile(r"no test: \S.*")
IDS = re.compile(r"^(?:[A-Z]-?\d+|%s)(?:, (?:[A-Z]-?\d+|%s))*: ")


@dataclass(frozen=True)
class Row:
    """One line of the page: a number, what was wrong, what is done, and the proof."""

    number: str
    wrong: str
    done: str
    proof: str


def rows(page: str) -> list[Row]:
    found = []
    for line in page.splitlines():
        if re.match(r"\| (?:D|C-)\d", line):
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            assert len(cells) == 4, line
            found.append(Row(*cells))
    return found


@cache
def descriptions(file: Path) -> frozenset[str]:
    """The texts of a pgTAP file, as they stand and without the ids before them or what joins them to a value."""
    found = set[str]()
    for text in texts_in_sql(file.read_text(encoding="utf-8")):
        found |= {text, IDS.sub("", text).rstrip(" :,")}
    return frozenset(found)


@cache
def functions(file: Path) -> frozenset[str]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return frozenset(
        node.name
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name.startswith("test_")
    )


def missing(row: Row, repository: Path = REPOSITORY) -> list[str]:
    """The tests that a row names and that are not there."""
    left = []
    for name, test in PYTEST.findall(row.proof):
        file = repository / name
        if not file.is_file() or test not in functions(file):
            left.append(f"{name}::{test}")
    for name, description in PGTAP.findall(row.proof):
        file = repository / "supabase" / "tests" / name
        if not file.is_file() or description not in descriptions(file):
            left.append(f"{name}: {description}")
    return left


ROWS = rows(PAGE.read_text(encoding="utf-8"))


def test_every_defect_and_contradiction_stands_on_the_page_once_and_in_order() -> None:
    assert [number for number, times in Counter(row.number for row in ROWS).items() if times > 1] == []
    assert [row.number for row in ROWS] == NUMBERS


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.number)
def test_a_row_says_what_was_wrong_what_is_done_and_what_proves_it(row: Row) -> None:
    assert row.wrong.endswith(".")
    assert row.done.endswith(".")
    if row.number in WITHOUT_TEST:
        assert NO_TEST.fullmatch(row.proof), "it has a test now: take it out of WITHOUT_TEST"
    else:
        assert ALLOWED.fullmatch(row.proof), row.proof
        assert missing(row) == []


def test_a_test_that_is_not_there_is_told(tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_a.py").write_text("# def test_gone\ndef test_there(): ...\n", encoding="utf-8")
    (tmp_path / "supabase" / "tests" / "floor").mkdir(parents=True)
    (tmp_path / "supabase" / "tests" / "floor" / "a.sql").write_text(
        "select ok(true, 'S-901, D1: it''s there'); -- 'D1: gone'\n"
        "select ok(true, 'D2: refused: ' || name), ok(true, format('%s, D11: A: %s', a, b));\n",
        encoding="utf-8",
    )

    def told(proof: str) -> list[str]:
        return missing(Row("D1", "Wrong.", "Done.", proof), tmp_path)

    there = '`tests/test_a.py::test_there`; `floor/a.sql` "it\'s there"; `floor/a.sql` "refused"'
    assert ALLOWED.fullmatch(there)
    assert told(there) == []
    assert told('`floor/a.sql` "S-901, D1: it\'s there"; `floor/a.sql` "A: %s"') == []
    assert told("`tests/test_a.py::test_gone`") == ["tests/test_a.py::test_gone"]
    assert told("`tests/test_b.py::test_there`") == ["tests/test_b.py::test_there"]
    assert told('`floor/a.sql` "gone"') == ["floor/a.sql: gone"]
    assert told('`floor/a.sql` "it\'s"') == ["floor/a.sql: it's"]
    assert told('`floor/b.sql` "it\'s there"') == ["floor/b.sql: it's there"]


def test_what_is_no_proof_is_no_proof() -> None:
    for proof in ("", "yes", "`tests/a.py`", "`tests/a.py::test_b` and more", '`floor/a.sql` "b",'):
        assert not ALLOWED.fullmatch(proof), proof


def test_a_number_that_stands_twice_or_has_a_cell_too_many_is_seen() -> None:
    once = "| D1 | Wrong. | Done. | `tests/a.py::test_b` |"
    assert [row.number for row in rows(f"{once}\n| id | a | b | c |\n{once}")] == ["D1", "D1"]
    with pytest.raises(AssertionError):
        rows("| D1 | Wrong. | Done. | and | `tests/a.py::test_b` |")
