"""The blocks of text and JSON that show what the block before them prints."""

from __future__ import annotations

import json

from . import elsewhere
from .blocks import Block, before, blocks, commands
from .shape import differences, missing_lines

LANGUAGES = ("text", "json")


def not_like(block: Block, printed: str) -> list[str]:
    """What a block shows that was not printed."""
    if block.language == "text":
        return [f"{block}: shown, but not printed: {line}\n{printed}" for line in missing_lines(block.text, printed)]
    try:
        real = json.loads(printed)
    except ValueError:
        return [f"{block}: JSON is shown, but this was printed: {printed}"]
    return [f"{block}: {problem}" for problem in differences(json.loads(block.text), real)]


def shown_after(page: str, *languages: str) -> list[Block]:
    """The page's blocks that show what a block of these languages printed."""
    return [block for block in blocks(*LANGUAGES, page=page) if shows_output(block) in languages]


def shows_output(block: Block) -> str | None:
    """The language of the block before it, whose output it shows; None when it shows something else."""
    source = before(block)
    if source is None or (block.page, block.language) in elsewhere.PROGRAMS or printed_elsewhere(block) is not None:
        return None
    return None if source.language in LANGUAGES else source.language


def printed_elsewhere(block: Block) -> tuple[str, str] | None:
    """The file that holds this output against the page, when its command runs elsewhere."""
    source = before(block)
    if source is None or source.language != "console":
        return None
    return next((elsewhere.OUTPUT[one.words] for one in commands(source) if one.words in elsewhere.OUTPUT), None)
