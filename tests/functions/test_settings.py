"""Each setting of the handler, and the sentence that a wrong one gets."""

from __future__ import annotations

import pytest

from functions.settings import Settings, SettingsError

from .signing import OTHER_SECRET, SECRET

GOOD = {
    "SUPABASE_URL": "https://abc.supabase.co/",
    "SUPABASE_SECRET_KEY": "sb_secret_x",
    "TREND_WEBHOOK_SECRET": f"{SECRET} {OTHER_SECRET}",
}


def test_settings_are_read_from_the_environment() -> None:
    settings = Settings.from_environment(GOOD)
    assert settings.supabase_url == "https://abc.supabase.co"
    assert settings.webhook_secrets == (SECRET, OTHER_SECRET)


@pytest.mark.parametrize("name", GOOD)
@pytest.mark.parametrize("value", [None, "", "  "])
def test_a_missing_setting_is_named(name: str, value: str | None) -> None:
    environment = {key: text for key, text in {**GOOD, name: value}.items() if text is not None}
    with pytest.raises(SettingsError, match=name):
        Settings.from_environment(environment)


@pytest.mark.parametrize("url", ["http://127.0.0.1:54321", "http://localhost:54321", "http://[::1]:1", "https://x.co"])
def test_the_key_goes_over_https_or_stays_on_this_machine(url: str) -> None:
    assert Settings.from_environment(GOOD | {"SUPABASE_URL": url}).supabase_url == url


@pytest.mark.parametrize("url", ["http://abc.supabase.co", "abc.supabase.co", "ftp://localhost", "http://localhost.co"])
def test_the_key_is_never_sent_in_clear(url: str) -> None:
    with pytest.raises(SettingsError, match="SUPABASE_URL"):
        Settings.from_environment(GOOD | {"SUPABASE_URL": url})


@pytest.mark.parametrize(
    "secret",
    [
        "plain",
        SECRET.removeprefix("whsec_"),
        "whsec_",
        "whsec_c2hvcnQ=",
        "whsec_" + "A" * 88,
        SECRET + "!",
        "whsec_비밀",
    ],
)
def test_a_weak_or_broken_secret_is_refused_and_not_shown(secret: str) -> None:
    with pytest.raises(SettingsError, match="TREND_WEBHOOK_SECRET") as refusal:
        Settings.from_environment(GOOD | {"TREND_WEBHOOK_SECRET": f"{SECRET} {secret}"})
    assert secret.removeprefix("whsec_") == "" or secret not in str(refusal.value)


def test_secrets_are_not_printed() -> None:
    shown = repr(Settings.from_environment(GOOD))
    assert SECRET not in shown
    assert "sb_secret_x" not in shown


def test_updates_have_a_secret_of_their_own_or_that_of_trends() -> None:
    assert Settings.from_environment(GOOD).update_secrets == (SECRET, OTHER_SECRET)
    own = Settings.from_environment(GOOD | {"TREND_UPDATE_WEBHOOK_SECRET": OTHER_SECRET})
    assert (own.webhook_secrets, own.update_secrets) == ((SECRET, OTHER_SECRET), (OTHER_SECRET,))
    with pytest.raises(SettingsError, match="TREND_UPDATE_WEBHOOK_SECRET must be"):
        Settings.from_environment(GOOD | {"TREND_UPDATE_WEBHOOK_SECRET": "plain"})


OPTIONAL = {
    "YOUTUBE_WEBHOOK_SECRET": "youtube_secrets",
    "TRENDS_WEBHOOK_SECRET": "trends_secrets",
    "AI_WEBHOOK_SECRET": "ai_secrets",
}


@pytest.mark.parametrize("name", OPTIONAL)
def test_a_handler_of_ones_choice_has_its_own_secrets(name: str) -> None:
    assert getattr(Settings.from_environment(GOOD), OPTIONAL[name]) == ()
    given = Settings.from_environment(GOOD | {name: f" {SECRET}  {OTHER_SECRET} "})
    assert getattr(given, OPTIONAL[name]) == (SECRET, OTHER_SECRET)
    with pytest.raises(SettingsError, match=f"{name} must be"):
        Settings.from_environment(GOOD | {name: f"{SECRET} plain"})


def test_tokens_of_bright_data_cannot_be_guessed() -> None:
    name = "BRIGHT_DATA_WEBHOOK_TOKEN"
    assert Settings.from_environment(GOOD).bright_data_tokens == ()
    assert Settings.from_environment(GOOD | {name: f"{'a' * 24} {'b' * 30}"}).bright_data_tokens == ("a" * 24, "b" * 30)
    for weak in ("a" * 23, "비밀" * 20):
        with pytest.raises(SettingsError, match=name) as refusal:
            Settings.from_environment(GOOD | {name: weak})
        assert weak not in str(refusal.value)
