"""Shown output is held against real output: words count, figures do not."""

from __future__ import annotations

import pytest

from .shape import differences, missing_lines


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        ("dev: done after 10.5 s", "dev: done after 9 s"),
        (" KR  두바이쫀득쿠키  2026-11-22 04:00  +1093 %  ··▁█", "KR 두바이쫀득쿠키 2027-01-01 23:00 -3 % █"),
        ("url: … (kept)", "before\n url: https://example.com (kept)\nafter"),
        ("q 3.8e-12", "q 1.0"),
        ("", "anything"),
    ],
)
def test_the_same_shape(shown: str, printed: str) -> None:
    assert missing_lines(shown, printed) == []


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        ("3 trends were found", "3 trends found"),
        ("done after 10 s", "done after ten s"),
        ("done", "not done"),
        ("one\ntwo", "one"),
    ],
)
def test_another_shape(shown: str, printed: str) -> None:
    assert missing_lines(shown, printed) == [shown.splitlines()[-1]]


def test_json_has_the_keys_and_kinds_that_are_shown() -> None:
    shown = {"id": "…", "score": 0.9, "list": [{"name": "a"}], "model": None, "ok": True}
    real = {"id": 5, "score": 1, "list": [{"name": "b", "more": 1}], "model": "x", "ok": False, "more": 1}
    assert differences(shown, real) == []
    assert differences(shown, {**real, "score": "1"}) == ["$.score is '1', not like 0.9"]
    assert differences(shown, {**real, "ok": 1}) == ["$.ok is 1, not like True"]
    assert differences(shown, {**real, "list": []}) == ["$.list is empty"]
    assert differences(shown, {**real, "list": [{}]}) == ["$.list[0].name is not there"]
    assert differences({"id": 1}, []) == ["$ is [], not like {'id': 1}"]
