"""Every command of the pages is typed as it stands there, on the running stack."""

from __future__ import annotations

import asyncio
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from scripts.local_stack.settings import REPOSITORY

from . import elsewhere
from .blocks import Command, before, blocks, commands, pages_with
from .shape import missing_lines
from .shown import not_like, shown_after
from .world import World

LANGUAGES = ("console", "sh")
SECONDS = 120
# These go on until they are interrupted: so they are, after a while, unless they gave up by themselves.
ENDLESS = ("trends watch", "webhooks tail", " --watch", " -f", "./scripts/handlers", "npm run dev")
AFTER = 4
INTERRUPTED = 130
ASKS = "/rpc/health_check"


@dataclass(frozen=True)
class Done:
    """How one command ended."""

    code: int
    printed: str


def is_endless(command: Command) -> bool:
    return any(f"{words} " in f"{command.words} " for words in ENDLESS)


def run_here(page: str) -> list[Command]:
    """What another page said before is not run again, unless this page shows what it prints."""
    found = [
        command
        for block in blocks(*LANGUAGES)
        for command in commands(block)
        if command.words not in elsewhere.COMMANDS
    ]
    first: dict[str, Command] = {}
    for command in found:
        first.setdefault(command.words, command)
    shown = {before(block) for block in shown_after(page, *LANGUAGES)}
    return [
        command
        for command in found
        if command.block.page == page and (first[command.words] == command or command.shown or command.block in shown)
    ]


def ended_well(command: Command, done: Done) -> bool:
    if is_endless(command):
        return done.code in (0, INTERRUPTED)
    # It asks whether all is well, which on a stack full of tests it need not be: then it ends with 1 and says nothing.
    return done.code == 0 or (ASKS in command.words and (done.code, done.printed) == (1, ""))


def script(typed: list[Command], world: World) -> str:
    """One shell for the page, so that what is exported stays; each command's output and exit code in files."""
    lines = ["set -o pipefail", 'curl() { command curl --silent --show-error --fail-with-body "$@"; }']
    for number, command in enumerate(typed):
        file = world.folder / str(number)
        text = world.filled_in(command.text)
        if is_endless(command):  # beside the others
            text = f"env --default-signal=INT timeout --preserve-status --signal=INT {AFTER} {text}"
            lines.append(f"( {{\n{text}\n}} >{file}.out 2>&1 </dev/null\necho $? >{file}.code ) &")
        else:
            lines.append(f"{{\n{text}\n}} >{file}.out 2>&1 </dev/null\necho $? >{file}.code")
    return "\n".join((*lines, "wait"))


def result(folder: Path, number: int) -> Done:
    code = (folder / f"{number}.code").read_text(encoding="utf-8")
    return Done(int(code), (folder / f"{number}.out").read_text(encoding="utf-8"))


async def typed_in(page: str, world: World) -> list[tuple[Command, Done]]:
    typed = run_here(page)
    await asyncio.to_thread(
        subprocess.run,
        ["bash", "-c", script(typed, world)],
        cwd=REPOSITORY,
        env={**os.environ, **world.settings},
        check=True,
        timeout=SECONDS,
    )
    return [(command, result(world.folder, number)) for number, command in enumerate(typed)]


@pytest.mark.parametrize("page", [page for page in pages_with(*LANGUAGES) if run_here(page)])
async def test_every_command_of_the_page(page: str, world: World) -> None:
    problems = []
    ended = await typed_in(page, world)
    for command, done in ended:
        if not ended_well(command, done):
            problems.append(f"{command.block}: {command.words}\nended with {done.code}:\n{done.printed}")
        problems += [
            f"{command.block}: shown, but not printed by {command.words}: {line}"
            for line in missing_lines(command.shown, done.printed)
        ]
    for block in shown_after(page, *LANGUAGES):
        printed = "\n".join(done.printed for command, done in ended if command.block == before(block))
        problems += not_like(block, printed)
    assert not problems, "\n".join(problems)


def test_the_suite_for_another_target_is_what_scripts_test_runs() -> None:
    """./scripts/test would install things first: world.py types what comes after that."""
    assert 'exec .venv/bin/python -m pytest tests/conformance "$@"' in (REPOSITORY / "scripts" / "test").read_text()
