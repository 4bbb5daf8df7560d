"""Signing a person in for commands that are about one's own rows."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import typer

from ..config import Secret, Settings
from ..errors import SettingsError
from .console import say

if TYPE_CHECKING:
    from ..client import Client


@asynccontextmanager
async def signed_in(settings: Settings, email: str | None) -> AsyncIterator[Client]:
    """A client of the person with this address, or with ONDOL_EMAIL; the password is asked for when it is not set."""
    from ..client import Client

    person = email or settings.email
    if person is None:
        raise SettingsError("setting_missing", name="ONDOL_EMAIL")
    password = settings.password or Secret(typer.prompt(say("ask_password"), hide_input=True, err=True))
    async with Client(settings) as client:
        await client.sign_in(person, password=password)
        yield client
