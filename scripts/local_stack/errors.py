"""StackError: one sentence about what went wrong, one about what to do next."""

from __future__ import annotations


class StackError(Exception):
    """The local stack cannot go on; `next_step` says what the reader should do."""

    def __init__(self, message: str, *, next_step: str) -> None:
        super().__init__(f"{message} {next_step}")
        self.message = message
        self.next_step = next_step
