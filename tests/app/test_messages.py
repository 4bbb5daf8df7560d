from __future__ import annotations

import re
import string
from pathlib import Path

import pytest

import app
from app.messages import TEXTS, choose_language, text

SOURCES = sorted(Path(app.__file__).parent.rglob("*.py"))


def placeholders(message: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(message) if name is not None}


@pytest.mark.parametrize("key", sorted(TEXTS))
def test_both_languages_say_the_same_message(key: str) -> None:
    message = TEXTS[key]
    assert message.en.strip()
    assert message.ko.strip()
    assert placeholders(message.en) == placeholders(message.ko)


def test_korean_is_korean() -> None:
    same_in_both = {"doctor_node"}
    for key in TEXTS.keys() - same_in_both:
        assert re.search("[가-힣]", TEXTS[key].ko), key
        assert not re.search("[가-힣]", TEXTS[key].en), key


def test_every_message_is_used_and_every_used_message_exists() -> None:
    code = "\n".join(file.read_text(encoding="utf-8") for file in SOURCES if file.name != "messages.py")
    said = set(re.findall(r'\b(?:say|text)\(\s*"([a-z_.]+)"', code)) | set(
        re.findall(r'Error\(\s*"([a-z_]+)", \w+=', code)
    )
    refused = set(re.findall(r'(?:RefusedError\(|Unusable\(|Refusal\([^"()]+, )"([a-z_]+)"', code))
    computed = ("stage_", "column_", "kind_", "doctor_")
    assert said <= TEXTS.keys()
    assert {f"refused_{code}" for code in refused} == {key for key in TEXTS if key.startswith("refused_")}
    for key in TEXTS:
        stem = key.removesuffix(".next")
        used = key in said or stem in said or f'"{key}"' in code or f'"{stem}"' in code
        assert used or key.startswith((*computed, "refused_")), key


@pytest.mark.parametrize(
    ("environ", "language"),
    [
        ({}, "en"),
        ({"LANG": "ko_KR.UTF-8"}, "ko"),
        ({"LANG": "en_US.UTF-8"}, "en"),
        ({"LANG": "ko_KR.UTF-8", "LC_ALL": "C.UTF-8"}, "en"),
        ({"LANG": "ko_KR.UTF-8", "ONDOL_LANG": "en"}, "en"),
        ({"LANG": "C", "ONDOL_LANG": "KO"}, "ko"),
        ({"LANG": "ko_KR.UTF-8", "ONDOL_LANG": ""}, "ko"),
    ],
)
def test_language_is_ours_first_then_the_locales(environ: dict[str, str], language: str) -> None:
    assert choose_language(environ) == language


def test_text_fills_placeholders() -> None:
    assert text("setting_missing", language="ko", name="SUPABASE_URL") == "설정 SUPABASE_URL 값이 없습니다."
