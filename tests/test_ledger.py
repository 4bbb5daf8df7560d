"""Every id that a finished issue owes is carried by a test, and tests carry no id that is not in the ledger.

Samples stand in the bodies of functions: elsewhere in this file an id would count as carried.
"""

from __future__ import annotations

import html
import json
import re

import pytest

from scripts import untested_ids
from scripts.local_stack.settings import REPOSITORY
from scripts.untested_ids import Entry, carried, in_python, in_script, in_sql, ledger, main, untested

SOURCE = REPOSITORY.parent / "shared" / "ledger" / "shorts.md"


def test_every_id_of_a_finished_issue_has_a_test() -> None:
    left = [f"{entry.id} {entry.kind} {entry.name}" for entry in untested()]
    assert left == [], "see ./scripts/untested-ids for how a test carries an id"


def test_no_test_carries_an_id_that_does_not_exist() -> None:
    known = {entry.id for entry in ledger()[1]}
    assert {each: files for each, files in carried().items() if each not in known} == {}


def test_the_ledger_numbers_its_entries_and_each_has_an_owner() -> None:
    finished, entries = ledger()
    assert [entry.id for entry in entries] == [f"S-{number:03}" for number in range(1, len(entries) + 1)]
    assert {entry.issue for entry in entries} <= set(range(3, 11))
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
    assert [(entry.id, entry.name, entry.kind) for entry in ledger()[1]] == written


def test_what_counts_in_sql() -> None:
    assert in_sql("select ok(true, 'S-901, D3: it''s so'); -- S-902") == {"S-901"}
    assert in_sql("/* 'S-901' */ select 1 -- don't say 'S-902'\n, 'S-903: yes'") == {"S-903"}
    assert in_sql("""select is("S-901", 'S-902, S-903: both', E'it\\'s', 'IS-904 and S-9055')""") == {"S-902", "S-903"}
    # One apostrophe in a body, or a word between $ signs, moves no border outside it.
    assert in_sql("select $x$'$x$, 'S-901'; do $$begin -- 'S-902'\nperform ok(true, 'S-903'); end$$;") == {
        "S-901",
        "S-903",
    }


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
    def test_it(self):
        """S-911"""
'''
    assert in_python(source) == {f"S-{number}" for number in (902, 905, 906, 907, 910, 911)}


def test_what_counts_in_a_script() -> None:
    source = """
// test("S-901", () => {});
test("S-902: it's so", () => { check("S-903"); }); // S-904
/* it("S-905") */
Deno.test(`S-906`, async () => {});
describe.only('S-907', () => {});
"""
    assert in_script(source) == {"S-902", "S-906", "S-907"}


def test_the_command_lists_what_is_left_and_says_so_by_its_status(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    there = next(iter(carried()))
    entries = [
        Entry(there, "there", "table", 3),
        Entry("S-901", "gone", "table", 3),
        Entry("S-902", "later", "view", 4),
    ]
    monkeypatch.setattr(untested_ids, "ledger", lambda: (3, entries))
    assert main([]) == 1
    assert re.findall(r"^S-\d+", capsys.readouterr().out, re.MULTILINE) == ["S-901"]
    assert main(["--all", "--json"]) == 1
    assert [each["id"] for each in json.loads(capsys.readouterr().out)] == ["S-901", "S-902"]
    monkeypatch.setattr(untested_ids, "ledger", lambda: (3, entries[:1]))
    assert main([]) == 0
    assert main(["--unknown"]) == 2
