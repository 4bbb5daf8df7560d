"""What the handlers answer, as models: the document of the API is made of them."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Answer(BaseModel):
    """Exactly these fields, no others."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Healthy(Answer):
    """The process answers; it asks nobody."""

    status: Literal["ok"]


class Recorded(Answer):
    """The event is kept; `duplicate` when this webhook-id was kept before, and nothing happened again."""

    duplicate: bool


class Tested(Answer):
    """A genuine webhook.test; nothing is recorded."""

    test: Literal[True]


class Ignored(Answer):
    """Genuine, of a type that this handler does not act on."""

    ignored: Literal[True]


class Rejected(Answer):
    """What stands at place `index` was not taken; `item` is the place in its arrays, where it has some."""

    index: int = Field(ge=0)
    item: int | None = None
    code: str
    message: str


class Stored(Answer):
    """What became of a batch: received = inserted + updated + unchanged + rejected."""

    received: int = Field(ge=0)
    inserted: int = Field(ge=0)
    updated: int = Field(ge=0)
    unchanged: int = Field(ge=0)
    rejected: list[Rejected]


class AnalysisStored(Answer):
    """`stored` is 0 when the document of a higher version is there and kept."""

    received: Literal[1]
    stored: Literal[0, 1]
    rejected: list[Rejected] = Field(max_length=0)


class Delivered(Answer):
    """What became of the rows: each is queued or rejected; `known` were only queued, not written."""

    received: int = Field(ge=0)
    queued: int = Field(ge=0)
    known: int = Field(ge=0)
    stored: int = Field(ge=0)
    unchanged: int = Field(ge=0)
    signals: int = Field(ge=0)
    rejected: list[Rejected] = Field(max_length=100)
    rejected_more: int = Field(default=0, ge=0, description="How many more were rejected than are listed.")


class Problem(Answer):
    """A refusal: a stable code, a sentence, and what to do about it."""

    code: str
    message: str
    hint: str
