from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import app
from app.config import KEYS, Secret, read_settings
from app.errors import SettingsError

EXAMPLE = Path(app.__file__).parents[1] / ".env.example"
GOOD = {"SUPABASE_URL": "http://127.0.0.1:54321/", "SUPABASE_PUBLISHABLE_KEY": "sb_publishable_x"}


def test_defaults() -> None:
    settings = read_settings(GOOD, dotenv=None)
    assert settings.url == "http://127.0.0.1:54321"
    assert settings.publishable_key.reveal() == "sb_publishable_x"
    assert settings.secret_key is None
    assert settings.timeout_seconds == 10
    assert settings.language == "en"


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_text("SUPABASE_URL=https://file.example\nSUPABASE_SECRET_KEY=sb_secret_file\nONDOL_LANG=ko\n")
    settings = read_settings(GOOD, dotenv=dotenv)
    assert settings.url == GOOD["SUPABASE_URL"].rstrip("/")
    assert settings.require_secret_key().reveal() == "sb_secret_file"
    assert settings.language == "ko"


def test_the_process_environment_is_the_default(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)
    assert read_settings(dotenv=tmp_path / "absent").publishable_key == Secret("sb_publishable_x")


@pytest.mark.parametrize("name", ["SUPABASE_URL", "SUPABASE_PUBLISHABLE_KEY"])
@pytest.mark.parametrize("empty", [True, False])
def test_a_missing_key_is_named_with_the_next_step(name: str, empty: bool) -> None:
    given = {**GOOD, name: ""} if empty else {key: value for key, value in GOOD.items() if key != name}
    with pytest.raises(SettingsError, match=name) as refused:
        read_settings(given, dotenv=None)
    assert ".env.example" in (refused.value.next_step("en") or "")


def test_the_secret_key_is_asked_for_only_when_needed() -> None:
    with pytest.raises(SettingsError, match="SUPABASE_SECRET_KEY"):
        read_settings(GOOD, dotenv=None).require_secret_key()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SUPABASE_URL", "127.0.0.1:54321"),
        ("SUPABASE_URL", "ftp://example"),
        ("SUPABASE_URL", "http://"),
        ("SUPABASE_URL", "http://host:notaport"),
        ("SUPABASE_URL", "http://[::1"),
        ("ONDOL_TIMEOUT_SECONDS", "soon"),
        ("ONDOL_TIMEOUT_SECONDS", "0"),
        ("ONDOL_TIMEOUT_SECONDS", "-1"),
        ("ONDOL_TIMEOUT_SECONDS", "nan"),
        ("ONDOL_TIMEOUT_SECONDS", "601"),
    ],
)
def test_a_wrong_value_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        read_settings({**GOOD, name: value}, dotenv=None)


def test_secrets_print_as_stars() -> None:
    settings = read_settings({**GOOD, "SUPABASE_SECRET_KEY": "sb_secret_y"}, dotenv=None)
    for shown in (repr(settings), str(settings.secret_key), f"{settings.publishable_key}"):
        assert "sb_" not in shown
        assert "********" in shown
    assert len({Secret("a"), Secret("a"), Secret("b")}) == 2


def test_env_example_lists_exactly_what_config_reads() -> None:
    listed: list[tuple[str, str, str]] = []
    comment = ""
    for line in EXAMPLE.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            comment = line.removeprefix("# ")
        elif line:
            name, _, value = line.partition("=")
            listed.append((name, comment, value))
    assert listed == [(key.name, key.meaning, key.example) for key in KEYS]


def test_no_other_module_reads_a_setting() -> None:
    """Every name in the code that looks like one of our settings is in KEYS, and every one of KEYS is read."""
    named: set[str] = set()
    for file in Path(app.__file__).parent.rglob("*.py"):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        declared = {id(node) for call in ast.walk(tree) if is_key(call) for node in ast.walk(call)}
        named |= {
            node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant)
            and id(node) not in declared
            and isinstance(node.value, str)
            and re.fullmatch(r"(SUPABASE|ONDOL|YOUTUBE|BRIGHT_DATA)_[A-Z_]+", node.value)
        }
    assert named == {key.name for key in KEYS}


def is_key(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Key"


@pytest.mark.parametrize("name", ["SUPABASE_PUBLISHABLE_KEY", "SUPABASE_SECRET_KEY"])
@pytest.mark.parametrize("value", ["sb_secret_키", "sb_secret_a\nb", "sb_secret_\x00"])
def test_a_key_that_no_header_can_carry_is_named_and_not_shown(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name) as refused:
        read_settings({**GOOD, name: value}, dotenv=None)
    assert "sb_secret" not in str(refused.value)
