"""What each test of a page is given."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from scripts.local_stack.settings import Stack

from .world import World, opened


@pytest.fixture
async def world(stack: Stack, without_queueing: None, without_purge: None, tmp_path: Path) -> AsyncIterator[World]:
    async with opened(stack, tmp_path) as world:
        yield world
