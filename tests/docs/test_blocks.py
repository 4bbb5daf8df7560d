"""No block of the pages is without a test that runs it, and what is said of who runs it is true."""

from __future__ import annotations

import pytest

from scripts.local_stack.settings import REPOSITORY

from . import elsewhere, test_commands, test_programs, test_shown
from .blocks import Block, before, blocks, commands, pages, parse, read
from .shown import LANGUAGES as SHOWN
from .shown import printed_elsewhere, shows_output

PROGRAMS = ("sql", *test_programs.LANGUAGES)


def run_by(block: Block) -> str | None:
    """The file that runs the block, or None when no test does."""
    if (named := elsewhere.PROGRAMS.get((block.page, block.language))) is not None:
        return named[0]
    if block.language in test_commands.LANGUAGES:
        return "tests/docs/test_commands.py"
    if block.language in PROGRAMS:
        return "tests/docs/test_programs.py, tests/docs/test_sql.py"
    if (block.page, block.language) in test_shown.HERE:
        return "tests/docs/test_shown.py"
    if block.language in SHOWN:
        return compared_by(block)
    return None


def compared_by(block: Block) -> str | None:
    """The file that compares this output with what the block before it prints."""
    if (named := printed_elsewhere(block)) is not None:
        return named[0]
    source = before(block)
    if source is None or shows_output(block) is None:
        return None
    if source.language in test_commands.LANGUAGES:
        runs = any(command.words not in elsewhere.COMMANDS for command in commands(source))
    else:
        runs = source.language in PROGRAMS and (source.page, source.language) not in elsewhere.PROGRAMS
    return "tests/docs" if runs else None


def test_every_block_is_run_by_a_test() -> None:
    assert [f"{block} ({block.language or 'no language'})" for block in blocks() if run_by(block) is None] == []


def test_code_is_fenced() -> None:
    assert [place for page in pages() for place in read(page)[1]] == []


def test_every_page_with_code_is_read() -> None:
    found = {block.page for block in blocks()}
    assert {"README.md", "CONTRIBUTING.md", "web/README.md", "functions/README.md", "docs/webhooks.md"} <= found
    assert len(blocks()) >= 60


@pytest.mark.parametrize(
    "text",
    [
        "```\nno language\n```",
        "```text\nof nothing\n```",
        "```console\n$ ./scripts/dev up\n```\n\n```text\nnobody looks at it\n```",
        "```brainfuck\n+\n```",
    ],
)
def test_a_block_that_nobody_runs_is_found(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    [*_, block] = parsed = parse("docs/new.md", text)[0]
    monkeypatch.setattr("tests.docs.blocks.read", lambda page: (parsed, ()))
    assert run_by(block) is None


def test_what_a_page_holds_is_found() -> None:
    listed = "- item\n\n    of it\n\n  ```js\n  a\n    b\n  ```\n"
    text = f"# A\n\n```sql\nselect 1;\n```\n\n{listed}\nText\n\n    code\n\n# B\n\n```text\nx\n```"
    found, indented = parse("page.md", text)
    assert [(block.line, block.section, block.language, block.text) for block in found] == [
        (3, 1, "sql", "select 1;\n"),
        (11, 1, "js", "a\n  b\n"),
        (22, 2, "text", "x\n"),
    ]
    assert indented == ("page.md:18",)
    with pytest.raises(AssertionError, match=r"page\.md:1: the block does not end"):
        parse("page.md", "```sql\nselect 1;")


def test_what_a_console_shows_is_commands_and_output() -> None:
    [block] = parse("page.md", "```console\n$ one --a \\\n    --b  # why\nsaid\nmore\n$ two\n```")[0]
    assert [(command.words, command.shown) for command in commands(block)] == [
        ("one --a --b", "said\nmore\n"),
        ("two", ""),
    ]


@pytest.mark.parametrize(
    ("file", "words"), [*elsewhere.COMMANDS.values(), *elsewhere.PROGRAMS.values(), *elsewhere.OUTPUT.values()]
)
def test_a_file_that_is_said_to_run_something_does(file: str, words: str) -> None:
    text = (REPOSITORY / file).read_text(encoding="utf-8")
    assert words in text, f"{file} no longer has {words}: see tests/docs/elsewhere.py"


def test_nothing_is_said_of_what_no_page_has() -> None:
    typed = {command.words for block in blocks(*test_commands.LANGUAGES) for command in commands(block)}
    assert elsewhere.COMMANDS.keys() - typed == set()
    assert elsewhere.OUTPUT.keys() - elsewhere.COMMANDS.keys() == set()
    held = {(block.page, block.language) for block in blocks()}
    assert elsewhere.PROGRAMS.keys() - held == set()
    assert test_shown.HERE - held == set()


@pytest.mark.parametrize("page", sorted({page for page, _ in elsewhere.PROGRAMS}))
def test_a_test_that_runs_a_page_reads_that_page(page: str) -> None:
    for (named, _), (file, _) in elsewhere.PROGRAMS.items():
        if named == page:
            assert page.rpartition("/")[2] in (REPOSITORY / file).read_text(encoding="utf-8")
