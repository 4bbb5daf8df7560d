"""Measurements and drills take minutes to hours: every option that a page gives them is one that they have."""

from __future__ import annotations

import re
import subprocess

import pytest

from scripts.local_stack.settings import REPOSITORY

from .blocks import pages

LONG = re.compile(r"`(?:\./)?(scripts/(?:bench|drills)/\w+)((?: [^`]*)?)`")


def named() -> dict[str, set[str]]:
    """Each long program that a page names, with the options that pages give it."""
    found: dict[str, set[str]] = {}
    for page in pages():
        for program, rest in LONG.findall((REPOSITORY / page).read_text(encoding="utf-8")):
            found.setdefault(program, set()).update(re.findall(r"--[a-z][a-z-]*", rest))
    return found


@pytest.mark.parametrize("program", sorted(named()))
def test_the_options_that_pages_give_it_are_its_own(program: str) -> None:
    done = subprocess.run(
        [REPOSITORY / program, "--help"], cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert named()[program] - set(re.findall(r"--[a-z][a-z-]*", done.stdout)) == set()
