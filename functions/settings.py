"""What the handler reads from its environment, once, each with a refusal that names the key."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

LOOPBACK = {"127.0.0.1", "localhost", "::1"}


class SettingsError(Exception):
    """A setting is missing or cannot be used; the message names it and never shows a secret."""


@dataclass(frozen=True)
class Settings:
    """Where events go, and whose signatures are believed."""

    supabase_url: str
    supabase_secret_key: str = field(repr=False)
    webhook_secrets: tuple[str, ...] = field(repr=False)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Read SUPABASE_URL, SUPABASE_SECRET_KEY and TREND_WEBHOOK_SECRET (several, separated by spaces)."""
        url = required(environment, "SUPABASE_URL").rstrip("/")
        parts = urlsplit(url)
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK):
            raise SettingsError("SUPABASE_URL must be an https address, because a key is sent to it.")
        webhook_secrets = tuple(required(environment, "TREND_WEBHOOK_SECRET").split())
        for secret in webhook_secrets:
            check_secret(secret)
        return cls(
            supabase_url=url,
            supabase_secret_key=required(environment, "SUPABASE_SECRET_KEY"),
            webhook_secrets=webhook_secrets,
        )


def required(environment: Mapping[str, str], name: str) -> str:
    value = environment.get(name, "").strip()
    if not value:
        raise SettingsError(f"{name} is not set. functions/README.md says what it is.")
    return value


def check_secret(secret: str) -> None:
    """Refuse a signing secret that is not `whsec_` and base64 of 24 to 64 bytes, as Standard Webhooks has it."""
    try:
        size = len(base64.b64decode(secret.removeprefix("whsec_"), validate=True))
    except (binascii.Error, ValueError):
        size = 0
    if not secret.startswith("whsec_") or not 24 <= size <= 64:
        raise SettingsError("TREND_WEBHOOK_SECRET must be 'whsec_' and base64 of 24 to 64 bytes.")
