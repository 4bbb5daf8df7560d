"""The newcomer's drill: its steps are the page's, each way to fail is noticed, the page works in a fresh checkout."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scripts.drills import newcomer_drill
from scripts.drills.newcomer_drill import LIMIT_SECONDS, PAGE, Timed, WalkError, environment_for, report, walk
from scripts.drills.newcomer_page import Step, read_steps
from tests.local_stack.conftest import Checkout

PORT_BASE = 18320


def test_the_page_works_in_a_fresh_checkout(tmp_path: Path) -> None:
    """All but the download: the checkout shares this one's packages."""
    first, *steps = read_steps(PAGE)
    assert first.command == "git clone REPOSITORY ondol"
    Checkout(tmp_path / "ondol")
    timed = walk(steps, folder=tmp_path, environment=environment_for(None), port_base=PORT_BASE)
    assert sum(step.seconds for step in timed) < LIMIT_SECONDS
    assert len(timed) == len(steps) - 1, "cd is no command of its own"


def test_the_page_has_a_select_in_both_languages_within_ten_lines_each() -> None:
    steps = read_steps(PAGE)
    first = next(step for step in steps if step.command.startswith("node"))
    python = next(step for step in steps if step.command.endswith("first.py"))
    for program in (first.files["first.mjs"], python.files["first.py"]):
        assert ".select(" in program
        assert len([line for line in program.splitlines() if line.strip()]) <= 10
    last = [step.files["first.mjs"] for step in steps if step.command.startswith("node")][-1]
    assert last.startswith(first.files["first.mjs"])
    for said in ("signUp", "search_videos", "맛집", '"trends"'):
        assert said in last


def test_a_page_becomes_its_steps(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "Save `a.mjs`:\n\n```js\none();\n```\n\n```console\n$ node a.mjs \\\n    --x\n```\n\n"
        "```text\nready; Ctrl-C\n```\n\nAdd to `a.mjs`:\n\n```js\ntwo();\n```\n\n```console\n$ ls\n```\n\n"
        "The terminal prints `heard 1`.\n",
        encoding="utf-8",
    )
    first, second = read_steps(page)
    assert (first.command.split(), first.files, first.stays) == (["node", "a.mjs", "--x"], {"a.mjs": "one();\n"}, True)
    assert (second.files, second.stays, second.heard) == ({"a.mjs": "one();\n\ntwo();\n"}, False, "heard 1")


def take(*steps: Step, folder: Path) -> list[Timed]:
    return walk(steps, folder=folder, environment=environment_for(None), port_base=PORT_BASE)


def test_files_are_saved_and_folders_entered(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    timed = take(Step("cd in"), Step("cat a.txt", {"a.txt": "written\n"}, "written 12\n"), folder=tmp_path)
    assert [step.command for step in timed] == ["cat a.txt"]
    assert (tmp_path / "in" / "a.txt").exists()


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ([Step("exit 3")], "ended with 3"),
        ([Step("echo this", shown="that")], "did not print that"),
        ([Step("echo ready", shown="ready; Ctrl-C")], "ended with 0"),
        ([Step("echo Ctrl-C; sleep 60", shown="Ctrl-C"), Step("true", heard="news")], "did not get there"),
    ],
    ids=["fails", "prints something else", "does not stay", "hears nothing"],
)
def test_what_the_page_promises_and_does_not_come_is_noticed(
    steps: list[Step], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(newcomer_drill, "HEARD_WITHIN_SECONDS", 0.5)
    with pytest.raises(WalkError, match=said):
        take(*steps, folder=tmp_path)


def test_what_stays_hears_and_is_ended(tmp_path: Path) -> None:
    waits = (
        "trap 'echo ended > end; exit' INT; echo Ctrl-C; until [ -e go ]; do sleep 0.1; done; echo news; sleep 9 & wait"
    )
    assert len(take(Step(waits, shown="Ctrl-C"), Step("touch go", heard="news"), folder=tmp_path)) == 2
    assert (tmp_path / "end").read_text(encoding="utf-8") == "ended\n"


def test_a_newcomer_has_none_of_our_keys_and_no_cache_when_cold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUPABASE_SECRET_KEY", "ours")
    assert "SUPABASE_SECRET_KEY" not in environment_for(None)
    assert environment_for(tmp_path)["XDG_CACHE_HOME"].startswith(str(tmp_path))


def test_too_slow_turns_it_red(capsys: pytest.CaptureFixture[str]) -> None:
    timed = [Timed("one", 200.0), Timed("two", 100.1)]
    assert report(timed, {"npm packages": True}, limit=300.2, as_json=True) == 0
    assert json.loads(capsys.readouterr().out)["cached"] == {"npm packages": True}
    assert report(timed, {"npm packages": False}, limit=300.0, as_json=False) == 1
    printed = capsys.readouterr().out
    assert "300.1" in printed
    assert "npm packages no" in printed
