"""Every known defect of the source designs that touches the floor has a test that carries its number."""

from __future__ import annotations

import re

from scripts.local_stack.settings import REPOSITORY

TESTS = ("supabase/tests", "tests")
ACCESS = {1, 2, 3, 4, 5, 15, 16, 18, 19, 20, 21, 22, 23, 24, 25, 26}
SECRETS = {27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40}
DELIVERY = {41, 42, 43, 44, 45, 46}
MAINTENANCE = {57, 59, 60, 67, 68, 69, 70, 71, 72, 73, 74, 76, 77, 78}


def test_each_defect_of_the_floor_has_a_test_named_after_it() -> None:
    named = {
        int(number)
        for folder in TESTS
        for path in (REPOSITORY / folder).rglob("*")
        if path.suffix in {".sql", ".py", ".mjs", ".ts"} and path.name != "test_defects.py"
        for number in re.findall(r"\bD(\d{1,2})\b", path.read_text(encoding="utf-8"))
    }
    missing = sorted((ACCESS | SECRETS | DELIVERY | MAINTENANCE) - named)
    assert missing == [], f"no test carries D{', D'.join(map(str, missing))}"
