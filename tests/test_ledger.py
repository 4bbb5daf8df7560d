"""Every id that a finished issue owes has a test or a sentence why not; tests carry no id that is not in the ledger.

Samples stand in the bodies of functions: elsewhere in this file an id would count as carried.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from scripts import ledger
from scripts.ledger import Carrier, Entry, carried, in_python, in_script, in_sql, main, read, untested
from scripts.local_stack.settings import REPOSITORY

SOURCE = REPOSITORY.parent / "shared" / "ledger" / "shorts.md"


def test_every_id_of_a_finished_issue_has_a_test() -> None:
    left = [f"{entry.id} {entry.kind} {entry.name}" for entry in untested(up_to_issue=read()[0])]
    assert left == [], "see scripts/ledger.py for how a test carries an id"


def test_an_id_has_a_test_or_a_sentence_why_not_and_never_both() -> None:
    have = carried()
    for entry in read()[1]:
        if entry.why_not:
            assert entry.id not in have, f"{entry.id} has a test now: take its sentence out of tests/ledger.tsv"
            assert re.fullmatch(r"[A-Z].{20,200}\.", entry.why_not), entry.id


def test_no_test_carries_an_id_that_does_not_exist() -> None:
    known = {entry.id for entry in read()[1]}
    assert {each: files for each, files in carried().items() if each not in known} == {}


def test_the_ledger_numbers_its_entries_and_each_has_an_owner() -> None:
    finished, entries = read()
    assert [entry.id for entry in entries] == [f"S-{number:03}" for number in range(1, len(entries) + 1)]
    assert {entry.issue for entry in entries} <= set(ledger.STAGES)
    assert any(entry.issue <= finished for entry in entries)
    assert all(entry.name and entry.kind for entry in entries)


def test_the_ledger_has_the_ids_names_and_kinds_of_its_source() -> None:
    if not SOURCE.is_file():
        pytest.skip("the ledger's source (../shared/ledger/shorts.md) is not beside this checkout")
    written, kind = [], ""
    for line in SOURCE.read_text(encoding="utf-8").splitlines():
        if heading := re.match(r"### (\S.*) \(\d+\)$", line):
            kind = heading[1]
        elif row := re.match(r"\| (S-\d{3}) \| (.*?) \|", line):
            written.append((row[1], html.unescape(row[2]).strip(), kind))
    assert written
    assert [(entry.id, entry.name, entry.kind) for entry in read()[1]] == written


def test_what_counts_in_sql() -> None:
    assert list(in_sql("select ok(true, 'S-901, D3: it''s so'); -- S-902")) == [("S-901", "S-901, D3: it's so")]
    assert ids_of(in_sql("/* 'S-901' */ select 1 -- don't say 'S-902'\n, 'S-903: yes'")) == {"S-903"}
    both = """select is("S-901", 'S-902, S-903: both', E'it\\'s', 'IS-904 and S-9055')"""
    assert ids_of(in_sql(both)) == {"S-902", "S-903"}
    # One apostrophe in a body, or a word between $ signs, moves no border outside it.
    function = "select $x$'$x$, 'S-901'; do $$begin -- 'S-902'\nperform ok(true, 'S-903'); end$$;"
    assert ids_of(in_sql(function)) == {"S-901", "S-903"}


def test_what_counts_in_python() -> None:
    source = '''
"""S-901: the page's own words."""
CASES = [("S-902", 1)]  # S-903
def helper():
    """S-904"""
@parametrize("case", CASES, ids=["S-905"])
async def test_S_906_and_more(case):
    """S-907, D1: it holds."""
    # S-908
    assert case, "S-909"
class TestThis:
    """S-910"""
    def test_s_912_it(self):
        """S-911"""
'''
    case = "test_S_906_and_more"
    assert set(in_python(source)) == {
        ("S-902", "CASES"),
        *((each, case) for each in ("S-905", "S-906", "S-907")),
        ("S-910", "TestThis"),
        ("S-911", "TestThis::test_s_912_it"),
        ("S-912", "TestThis::test_s_912_it"),
    }


def test_what_counts_in_a_script() -> None:
    source = """
// test("S-901", () => {});
test("S-902: it's so", () => { check("S-903"); }); // S-904
/* it("S-905") */
Deno.test(`S-906`, async () => {});
describe.only('S-907', () => {});
"""
    assert list(in_script(source)) == [("S-902", "S-902: it's so"), ("S-906", "S-906"), ("S-907", "S-907")]


def ids_of(found: Iterable[tuple[str, str]]) -> set[str]:
    return {each for each, _ in found}


def test_the_command_prints_every_id_and_says_by_its_status_what_is_left(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tested = Entry("S-901", "there", "table", 3)
    explained = Entry("S-902", "elsewhere", "view", 4, "Only a hosted project has replicas.")
    left = Entry("S-903", "gone", "table", 10)
    tests = [Carrier("supabase/tests/a.sql", "S-901: one"), Carrier("supabase/tests/a.sql", "S-901: two")]
    monkeypatch.setattr(ledger, "carried", lambda: {"S-901": tests})
    monkeypatch.setattr(ledger, "read", lambda: (3, [tested, explained, left]))
    assert main([]) == 1
    words = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert words[0] == ["S-901", "floor", "there", "supabase/tests/a.sql", "x2"]
    assert words[1] == ["S-902", "store", "elsewhere", *explained.why_not.split()]
    assert words[2] == ["S-903", "operate", "gone", "(none)"]
    assert " ".join(words[3]) == "ledger: of 3 ids 1 have a test, 1 a sentence why not, 1 neither."
    assert main(["--json"]) == 1
    rows = json.loads(capsys.readouterr().out)
    assert [(row["id"], row["stage"], row["why_not"]) for row in rows][1] == ("S-902", "store", explained.why_not)
    assert rows[0]["tests"] == [{"file": test.file, "test": test.test} for test in tests]
    assert main(["--open", "--json"]) == 1
    assert [row["id"] for row in json.loads(capsys.readouterr().out)] == ["S-903"]
    monkeypatch.setattr(ledger, "read", lambda: (3, [tested, explained]))
    assert main([]) == 0
    assert main(["--unknown"]) == 2


def test_the_sentence_why_not_is_the_fifth_column(tmp_path: Path) -> None:
    file = tmp_path / "ledger.tsv"
    file.write_text("# finished: 4\nS-901\ta\ttable\t3\nS-902\tb\tview\t4\tBecause.\n", encoding="utf-8")
    assert read(file) == (4, [Entry("S-901", "a", "table", 3), Entry("S-902", "b", "view", 4, "Because.")])


def test_the_ids_of_this_repository_have_tests_by_name() -> None:
    by_hand = Carrier("supabase/tests/floor/rules.sql", "S-161, D1, D25: every table and partition has RLS")
    assert by_hand in carried()["S-161"]
    assert all(len(set(carriers)) == len(carriers) for carriers in carried().values())
