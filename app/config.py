"""Settings, read once: from the environment, then from `.env`, then a default or a refusal that names the key."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from dotenv import dotenv_values

from .errors import SettingsError
from .messages import Language, choose_language

__all__ = ["KEYS", "Key", "Secret", "Settings", "environment", "read_settings"]

DOTENV = Path(".env")
MAX_TIMEOUT_SECONDS = 600.0
YOUTUBE_API_URL = "https://www.googleapis.com/youtube/v3"
BRIGHT_DATA_API_URL = "https://api.brightdata.com"


class Secret:
    """A text that prints as stars; `reveal()` gives it to the one who sends it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "Secret('********')"

    def __str__(self) -> str:
        return "********"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)


@dataclass(frozen=True)
class Key:
    """One setting: its name, what it means, and the value that `.env.example` shows."""

    name: str
    meaning: str
    example: str


KEYS = (
    Key("SUPABASE_URL", "Where the project's API answers; the local stack's is the example.", "http://127.0.0.1:54321"),
    Key("SUPABASE_PUBLISHABLE_KEY", "The key that any client may hold: sb_publishable_…, or the older anon key.", ""),
    Key(
        "SUPABASE_SECRET_KEY",
        "The server's key: sb_secret_…, or the older service_role key. It ingests, replays and looks after webhooks; "
        "never publish it.",
        "",
    ),
    Key(
        "YOUTUBE_API_KEY",
        "A key of the YouTube Data API v3, for `ondol ingest youtube` and `refresh`; docs/youtube.md: how to get it.",
        "",
    ),
    Key(
        "YOUTUBE_API_URL",
        "Where the YouTube Data API answers; set it only to test against another server.",
        "",
    ),
    Key("BRIGHT_DATA_API_KEY", "A key of Bright Data's API, for `ondol ingest brightdata`.", ""),
    Key(
        "BRIGHT_DATA_API_URL",
        "Where Bright Data's API answers; set it only to test against another server.",
        "",
    ),
    Key("ONDOL_EMAIL", "Who signs in for `ondol feed`, `webhooks` and `notifications`: an account's address.", ""),
    Key("ONDOL_PASSWORD", "The password of that account; it is asked for where it is not set.", ""),
    Key("ONDOL_TIMEOUT_SECONDS", "How long one call may take, in seconds; the default is 10.", "10"),
    Key("ONDOL_LANG", "The language of messages: en or ko; by default the locale decides.", ""),
)


@dataclass(frozen=True)
class Settings:
    """What the client needs to know. `timeout_seconds` bounds every single call."""

    url: str
    publishable_key: Secret
    secret_key: Secret | None = None
    youtube_api_key: Secret | None = None
    youtube_api_url: str = YOUTUBE_API_URL
    bright_data_api_key: Secret | None = None
    bright_data_api_url: str = BRIGHT_DATA_API_URL
    email: str | None = None
    password: Secret | None = None
    timeout_seconds: float = 10.0
    language: Language = "en"

    def require_secret_key(self) -> Secret:
        """The secret key, or the refusal that names it."""
        return _given(self.secret_key, name="SUPABASE_SECRET_KEY")

    def require_youtube_api_key(self) -> Secret:
        """The key of the YouTube Data API, or the refusal that names it."""
        return _given(self.youtube_api_key, name="YOUTUBE_API_KEY")

    def require_bright_data_api_key(self) -> Secret:
        """Bright Data's key, or the refusal that names it."""
        return _given(self.bright_data_api_key, name="BRIGHT_DATA_API_KEY")


def environment(environ: Mapping[str, str] | None = None, *, dotenv: Path | None = DOTENV) -> dict[str, str]:
    """The values of all settings that are set and not empty, the environment before the file."""
    environ = os.environ if environ is None else environ
    written = dotenv_values(dotenv) if dotenv is not None and dotenv.is_file() else {}
    merged = {**written, **environ}
    return {name: value for name, value in merged.items() if value}


def read_settings(environ: Mapping[str, str] | None = None, *, dotenv: Path | None = DOTENV) -> Settings:
    """Read all settings; raises SettingsError with the name of the first one that is missing or wrong."""
    values = environment(environ, dotenv=dotenv)
    return Settings(
        url=_url("SUPABASE_URL", values),
        publishable_key=_key("SUPABASE_PUBLISHABLE_KEY", values),
        secret_key=_optional_key("SUPABASE_SECRET_KEY", values),
        youtube_api_key=_optional_key("YOUTUBE_API_KEY", values),
        youtube_api_url=_url("YOUTUBE_API_URL", {"YOUTUBE_API_URL": YOUTUBE_API_URL, **values}),
        bright_data_api_key=_optional_key("BRIGHT_DATA_API_KEY", values),
        bright_data_api_url=_url("BRIGHT_DATA_API_URL", {"BRIGHT_DATA_API_URL": BRIGHT_DATA_API_URL, **values}),
        email=values.get("ONDOL_EMAIL"),
        password=Secret(values["ONDOL_PASSWORD"]) if "ONDOL_PASSWORD" in values else None,
        timeout_seconds=_seconds("ONDOL_TIMEOUT_SECONDS", values, default=10.0),
        language=choose_language(values),
    )


def _required(name: str, values: Mapping[str, str]) -> str:
    if name not in values:
        raise SettingsError("setting_missing", name=name)
    return values[name].strip()


def _key(name: str, values: Mapping[str, str]) -> Secret:
    value = _required(name, values)
    if not (value.isascii() and value.isprintable()):  # an HTTP header cannot carry it
        raise SettingsError("setting_wrong", name=name, problem="a key has only ASCII letters, digits and signs")
    return Secret(value)


def _optional_key(name: str, values: Mapping[str, str]) -> Secret | None:
    return _key(name, values) if name in values else None


def _given(key: Secret | None, *, name: str) -> Secret:
    if key is None:
        raise SettingsError("setting_missing", name=name)
    return key


def _url(name: str, values: Mapping[str, str]) -> str:
    value = _required(name, values).rstrip("/")
    try:
        parts = urlsplit(value)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        valid = False
    if not valid:
        raise SettingsError("setting_wrong", name=name, problem=f"{value!r} is not an http or https address")
    return value


def check_secret_goes_safely(name: str, url: str) -> None:
    """Raise SettingsError when a key sent to `url` could be read on its way; `name` is the setting that holds it."""
    parts = urlsplit(url)
    if parts.scheme != "https" and not _is_loopback(parts.hostname):
        problem = f"{url!r} would send the key in clear; only a loopback address may be http"
        raise SettingsError("setting_wrong", name=name, problem=problem)


def _is_loopback(host: str | None) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


def _seconds(name: str, values: Mapping[str, str], *, default: float) -> float:
    if name not in values:
        return default
    try:
        seconds = float(values[name])
    except ValueError as error:
        raise SettingsError("setting_wrong", name=name, problem=f"{values[name]!r} is not a number") from error
    if not 0 < seconds <= MAX_TIMEOUT_SECONDS:
        problem = f"{values[name]!r} is not between 0 and {MAX_TIMEOUT_SECONDS:.0f}"
        raise SettingsError("setting_wrong", name=name, problem=problem)
    return seconds
