"""What docs/quickstart.md asks its reader to do: the files to save and the commands to type, in the page's order."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

PROGRAMS = {"js", "python"}
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
NAMED = re.compile(r"`([a-z]+\.(?:mjs|py))`")
PRINTS = re.compile(r"terminal prints `([^`]+)`")


@dataclass
class Step:
    """One command, what is saved before it is typed, and what the reader is told to expect."""

    command: str
    files: dict[str, str] = field(default_factory=dict)
    shown: str = ""
    heard: str = ""  # what a command before it prints now

    @property
    def stays(self) -> bool:
        """It goes on until Ctrl-C, in a terminal of its own."""
        return "Ctrl-C" in self.shown

    def missing(self, printed: str) -> list[str]:
        """The words that the page shows and that were not printed; figures differ from run to run."""
        words = re.findall(r"[^\W\d_]{2,}", self.shown)
        return [word for word in dict.fromkeys(words) if word not in printed]


def read_steps(page: Path) -> list[Step]:
    """A program belongs to the file that was named last before it: the first begins it, later ones are added to it."""
    text = page.read_text(encoding="utf-8")
    steps: list[Step] = []
    files: dict[str, str] = {}
    name, end = "", 0
    for block in FENCE.finditer(text):
        prose, language, content = text[end : block.start()], block[1], block[2]
        name, end = (NAMED.findall(prose) or [name])[-1], block.end()
        hear(prose, steps)
        if language in PROGRAMS:
            files[name] = files[name] + "\n" + content if name in files else content
        elif language == "console":
            commands = content.replace("\\\n", " ").splitlines()
            steps += [Step(line[2:], dict(files)) for line in commands if line.startswith("$ ")]
        elif language == "text":
            steps[-1].shown = content
    hear(text[end:], steps)
    return steps


def hear(prose: str, steps: list[Step]) -> None:
    if found := PRINTS.search(prose):
        steps[-1].heard = found[1]
