"""How the room's methods call and read answers: one place for the form of an answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import tenacity
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from ..client import Client
from ..errors import OndolError, UnexpectedAnswerError

__all__ = ["Caller", "Row", "checked", "persist"]

ATTEMPTS = 4
FIRST_PAUSE_SECONDS = 0.5
DOUBLED = tenacity.wait_exponential(multiplier=FIRST_PAUSE_SECONDS)
SCATTERED = DOUBLED + tenacity.wait_random(0, FIRST_PAUSE_SECONDS)  # many workers do not come back at once

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


async def persist(
    call: Callable[[], Awaitable[Answer]],
    sleep: Callable[[float], Awaitable[None]],
    *,
    wait: tenacity.wait.wait_base = SCATTERED,
) -> Answer:
    """Call our backend again after what may pass: only for calls that may be repeated."""
    attempts = tenacity.AsyncRetrying(
        stop=tenacity.stop_after_attempt(ATTEMPTS),
        wait=wait,
        retry=tenacity.retry_if_exception(lambda error: isinstance(error, OndolError) and error.is_transient),
        sleep=sleep,
        reraise=True,
    )
    async for attempt in attempts:
        with attempt:
            return await call()
    raise AssertionError  # tenacity returns or raises before
