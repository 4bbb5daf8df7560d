"""The two READMEs say the same: the same commands and code, the same headings, the same pages to read on."""

from __future__ import annotations

import re

from scripts.local_stack.settings import REPOSITORY

ENGLISH = (REPOSITORY / "README.md").read_text(encoding="utf-8")
KOREAN = (REPOSITORY / "README.ko.md").read_text(encoding="utf-8")
FENCE = re.compile(r"^```\w*\n.*?^```$", re.DOTALL | re.MULTILINE)


def levels(page: str) -> list[int]:
    """How deep each heading is, in order."""
    return [len(marks) for marks in re.findall(r"^(#+) ", FENCE.sub("", page), re.MULTILINE)]


def links(page: str) -> list[str]:
    return re.findall(r"\]\(([^)]+)\)", FENCE.sub("", page))


def rows(page: str) -> list[int]:
    """How many cells each row of the tables has, in order."""
    return [line.count("|") for line in FENCE.sub("", page).splitlines() if line.startswith("|")]


def test_the_blocks_are_the_same() -> None:
    assert len(FENCE.findall(ENGLISH)) >= 4
    assert FENCE.findall(KOREAN) == FENCE.findall(ENGLISH)


def test_headings_and_tables_are_the_same_in_number() -> None:
    assert levels(KOREAN) == levels(ENGLISH)
    assert rows(KOREAN) == rows(ENGLISH)


def test_both_lead_to_the_same_pages_and_to_each_other() -> None:
    first, *others = links(ENGLISH)
    back, *same = links(KOREAN)
    assert (first, back) == ("README.ko.md", "README.md")
    assert sorted(same) == sorted(others)


def test_every_page_of_docs_is_within_reach() -> None:
    """From the README directly: nobody finds a page that no list names."""
    pages = {f"docs/{page.name}" for page in (REPOSITORY / "docs").glob("*.md")}
    assert pages <= {link.partition("#")[0] for link in links(ENGLISH)}


def test_it_says_what_it_needs() -> None:
    for page in (ENGLISH, KOREAN):
        for needed in ("Python 3.11", "Node.js 20.19", "Debian 12"):
            assert needed in page
