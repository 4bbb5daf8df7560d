"""Ondol's Python client, the floor: settings, one async client, errors and subscriptions. Rooms have their own door.

from app import Client, read_settings
from app.shorts import ShortsApi

async with Client(read_settings()) as client:
    trends = await ShortsApi(client).trending_now("KR")
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .client import Client
    from .config import KEYS, Key, Secret, Settings, environment, read_settings
    from .errors import (
        DatasetError,
        InvalidRequestError,
        NotAllowedError,
        NotFoundError,
        OndolError,
        QuotaSpentError,
        RealtimeError,
        RequestError,
        ServerError,
        SettingsError,
        SourceError,
        TimedOutError,
        TooManyRequestsError,
        UnexpectedAnswerError,
        UnreachableError,
        request_error,
    )
    from .messages import Language, choose_language, text
    from .realtime import BroadcastSource, ChangesSource, Moment, Source, follow, join, listen, pause_seconds

__all__ = [
    "KEYS",
    "BroadcastSource",
    "ChangesSource",
    "Client",
    "DatasetError",
    "InvalidRequestError",
    "Key",
    "Language",
    "Moment",
    "NotAllowedError",
    "NotFoundError",
    "OndolError",
    "QuotaSpentError",
    "RealtimeError",
    "RequestError",
    "Secret",
    "ServerError",
    "Settings",
    "SettingsError",
    "Source",
    "SourceError",
    "TimedOutError",
    "TooManyRequestsError",
    "UnexpectedAnswerError",
    "UnreachableError",
    "choose_language",
    "environment",
    "follow",
    "join",
    "listen",
    "pause_seconds",
    "read_settings",
    "request_error",
    "text",
]

_MODULES = ("messages", "errors", "config", "client", "realtime")  # the lightest first


def __getattr__(name: str) -> Any:
    # Only what is asked for is imported: `ondol --help` needs no supabase-py.
    if name in __all__:
        for module in map(import_module, (f"{__name__}.{module}" for module in _MODULES)):
            if name in module.__all__:
                return getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
