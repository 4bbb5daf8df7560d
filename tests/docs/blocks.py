"""Every code block of the pages, with the place where it stands."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from scripts.local_stack.settings import REPOSITORY

KOREAN = "README.ko.md"  # tests/test_readme.py: its blocks are those of README.md
FOLDERS = ("web", "functions", "scripts")
FENCE = re.compile(r"^( *)```(.*)$")
ITEM = re.compile(r"\s*([-*]|\d+\.) ")
PROMPT = "$ "


@dataclass(frozen=True)
class Block:
    """One fenced block. `section` counts the headings before it; `line` is that of its fence."""

    page: str
    line: int
    section: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


@dataclass(frozen=True)
class Command:
    """One command of a console block, as it is typed, and what the block shows below it."""

    block: Block
    text: str
    shown: str

    @property
    def words(self) -> str:
        """The command without its comment, in one line."""
        return without_comment(re.sub(r"\\\n\s*", "", self.text))


def without_comment(line: str) -> str:
    return re.sub(r"\s+#\s.*$", "", line, flags=re.MULTILINE).strip()


def pages() -> list[str]:
    found = [REPOSITORY / name for name in ("README.md", KOREAN, "CONTRIBUTING.md")]
    found += sorted((REPOSITORY / "docs").rglob("*.md"))
    found += [REPOSITORY / folder / "README.md" for folder in FOLDERS]
    return [str(file.relative_to(REPOSITORY)) for file in found if file.is_file()]


@cache
def read(page: str) -> tuple[tuple[Block, ...], tuple[str, ...]]:
    """The blocks of a page, and the places of code that is indented instead of fenced."""
    return parse(page, (REPOSITORY / page).read_text(encoding="utf-8"))


def parse(page: str, text: str) -> tuple[tuple[Block, ...], tuple[str, ...]]:
    blocks: list[Block] = []
    indented: list[str] = []
    section, in_list = 0, False
    lines = iter(enumerate(text.splitlines(), start=1))
    for number, line in lines:
        if fence := FENCE.match(line):
            indent, language = fence.groups()
            inside = []
            for _, within in lines:
                if within.strip() == "```":
                    break
                inside.append(within.removeprefix(indent))
            else:
                raise AssertionError(f"{page}:{number}: the block does not end")
            blocks.append(Block(page, number, section, language.strip(), "\n".join(inside) + "\n"))
        elif line.startswith("#"):
            section, in_list = section + 1, False
        elif ITEM.match(line):
            in_list = True
        elif line.startswith(("    ", "\t")) and line.strip() and not in_list:
            indented.append(f"{page}:{number}")
        elif line.strip() and not line.startswith(" "):
            in_list = False
    return tuple(blocks), tuple(indented)


def blocks(*languages: str, page: str | None = None) -> list[Block]:
    """In the order of the pages; of all languages when none is named."""
    return [
        block
        for name in ([page] if page else pages())
        if page or name != KOREAN
        for block in read(name)[0]
        if not languages or block.language in languages
    ]


def pages_with(*languages: str) -> list[str]:
    return list(dict.fromkeys(block.page for block in blocks(*languages)))


def before(block: Block) -> Block | None:
    """What stands before it under the same heading: where a block of output comes from."""
    around = blocks(page=block.page)
    place = around.index(block)
    earlier = around[place - 1] if place else None
    return earlier if earlier is not None and earlier.section == block.section else None


def commands(block: Block) -> list[Command]:
    """The commands of a console block; in a block of sh all of it is one."""
    if block.language == "sh":
        return [Command(block, block.text, "")]
    found: list[Command] = []
    goes_on = False
    for line in block.text.splitlines():
        if line.startswith(PROMPT):
            found.append(Command(block, line.removeprefix(PROMPT), ""))
        elif not found:
            raise AssertionError(f"{block}: begins with output")
        elif goes_on:
            found[-1] = Command(block, f"{found[-1].text}\n{line}", "")
        else:
            found[-1] = Command(block, found[-1].text, f"{found[-1].shown}{line}\n")
        goes_on = line.endswith("\\") and (goes_on or line.startswith(PROMPT))
    return found
