"""./scripts/dev, for the stack that the tests run on: `python -m tests.docs.dev psql`, `status`, `logs`."""

from __future__ import annotations

import os
from pathlib import Path

from scripts.local_stack import commands
from scripts.local_stack.settings import Stack


def test_stack() -> Stack:
    return Stack.load(Path(os.environ["ONDOL_STACK_FILE"]))


if __name__ == "__main__":
    commands.existing = test_stack
    commands.main()
