"""What becomes of a batch: the answer that every function that takes one gives."""

from __future__ import annotations

from .calls import Row

__all__ = ["Ingested", "Rejection"]


class Rejection(Row):
    """Row `index` of the batch was not taken; `item` is the place in its arrays, where it has some."""

    index: int
    item: int | None = None
    code: str
    message: str


class Ingested(Row):
    """What became of a batch: received = inserted + updated + unchanged + rejected."""

    received: int
    inserted: int
    updated: int
    unchanged: int
    rejected: list[Rejection]
