"""What the handler reads from its environment, once, each with a refusal that names the key."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

LOOPBACK = {"127.0.0.1", "localhost", "::1"}
SHORTEST_TOKEN = 24  # characters


class SettingsError(Exception):
    """A setting is missing or cannot be used; the message names it and never shows a secret."""


@dataclass(frozen=True)
class Settings:
    """Where events go, and whose signatures are believed."""

    supabase_url: str
    supabase_secret_key: str = field(repr=False)
    webhook_secrets: tuple[str, ...] = field(repr=False)
    update_secrets: tuple[str, ...] = field(default=(), repr=False)
    youtube_secrets: tuple[str, ...] = field(default=(), repr=False)
    trends_secrets: tuple[str, ...] = field(default=(), repr=False)
    ai_secrets: tuple[str, ...] = field(default=(), repr=False)
    bright_data_tokens: tuple[str, ...] = field(default=(), repr=False)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Read what is needed, and what opens the handlers that take data in; secrets are separated by spaces."""
        url = required(environment, "SUPABASE_URL").rstrip("/")
        parts = urlsplit(url)
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK):
            raise SettingsError("SUPABASE_URL must be an https address, because a key is sent to it.")
        required(environment, "TREND_WEBHOOK_SECRET")
        trend_secrets = signing_secrets(environment, "TREND_WEBHOOK_SECRET")
        return cls(
            supabase_url=url,
            supabase_secret_key=required(environment, "SUPABASE_SECRET_KEY"),
            webhook_secrets=trend_secrets,
            update_secrets=signing_secrets(environment, "TREND_UPDATE_WEBHOOK_SECRET") or trend_secrets,
            youtube_secrets=signing_secrets(environment, "YOUTUBE_WEBHOOK_SECRET"),
            trends_secrets=signing_secrets(environment, "TRENDS_WEBHOOK_SECRET"),
            ai_secrets=signing_secrets(environment, "AI_WEBHOOK_SECRET"),
            bright_data_tokens=tokens(environment, "BRIGHT_DATA_WEBHOOK_TOKEN"),
        )


def required(environment: Mapping[str, str], name: str) -> str:
    value = environment.get(name, "").strip()
    if not value:
        raise SettingsError(f"{name} is not set. functions/README.md says what it is.")
    return value


def signing_secrets(environment: Mapping[str, str], name: str) -> tuple[str, ...]:
    """The secrets of one handler; none when it is not wanted."""
    secrets = tuple(environment.get(name, "").split())
    for secret in secrets:
        check_secret(secret, name=name)
    return secrets


def tokens(environment: Mapping[str, str], name: str) -> tuple[str, ...]:
    """What an Authorization header may hold; refuses what could be guessed or is no header."""
    given = tuple(environment.get(name, "").split())
    if any(len(token) < SHORTEST_TOKEN or not token.isascii() or not token.isprintable() for token in given):
        raise SettingsError(f"{name} must be at least {SHORTEST_TOKEN} ASCII characters.")
    return given


def check_secret(secret: str, *, name: str) -> None:
    """Refuse a signing secret that is not `whsec_` and base64 of 24 to 64 bytes, as Standard Webhooks has it."""
    try:
        size = len(base64.b64decode(secret.removeprefix("whsec_"), validate=True))
    except (binascii.Error, ValueError):
        size = 0
    if not secret.startswith("whsec_") or not 24 <= size <= 64:
        raise SettingsError(f"{name} must be 'whsec_' and base64 of 24 to 64 bytes.")
