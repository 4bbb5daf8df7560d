"""How the room's methods call and read answers: one place for the form of an answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from ..client import Client
from ..errors import UnexpectedAnswerError

__all__ = ["Caller", "Row", "checked"]

Answer = TypeVar("Answer")


class Row(BaseModel):
    """What a newer backend adds is ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Caller:
    """Calls functions through `client` and checks what comes back."""

    def __init__(self, client: Client) -> None:
        self.client = client

    async def _call(self, function: str, arguments: Mapping[str, object], *, answer: type[Answer]) -> Answer:
        return checked(await self.client.call(function, arguments), answer, function)


def checked(data: Any, answer: type[Answer], doing: str) -> Answer:
    try:
        return TypeAdapter(answer).validate_python(data)
    except ValidationError as error:
        first = error.errors()[0]
        problem = f"{'.'.join(map(str, first['loc'])) or 'answer'}: {first['msg']}"
        raise UnexpectedAnswerError(problem, doing=doing) from error
