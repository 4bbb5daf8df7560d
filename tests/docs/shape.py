"""What a page shows as output, held against what was really printed: the words count, the figures do not."""

from __future__ import annotations

import re
from typing import Any

ANY = "…"
# A figure begins with a digit or a sign before one: counts, times, ids, per cent; bars are figures, too.
FREE = re.compile(r"(?P<any>…)|(?P<figure>[+−-]?\d[\w.,:+%−-]*)|(?P<bars>[·▁▂▃▄▅▆▇█]+)|(?P<space>\s+)")
LIKE = {"any": ".*", "figure": r"(?=\D{0,2}\d)\S+", "bars": "[·▁▂▃▄▅▆▇█]+", "space": r"\s+"}


def line_pattern(line: str) -> re.Pattern[str]:
    """`…` is any text, a figure is any figure, spaces are any spaces."""
    text, pattern, end = line.strip(), "", 0
    for found in FREE.finditer(text):
        pattern += re.escape(text[end : found.start()]) + LIKE[str(found.lastgroup)]
        end = found.end()
    return re.compile(pattern + re.escape(text[end:]))


def missing_lines(shown: str, printed: str) -> list[str]:
    """The shown lines that were not printed."""
    said = [line.strip() for line in printed.splitlines()]
    lines = [line for line in shown.splitlines() if line.strip()]
    return [line for line in lines if not any(map(line_pattern(line).fullmatch, said))]


def differences(shown: Any, real: Any, *, at: str = "$") -> list[str]:
    """Where a shown JSON value has a key, or a kind of value, that the real one has not."""
    if shown is None or shown == ANY:
        return []
    if isinstance(shown, dict) and isinstance(real, dict):
        return [
            problem
            for key, value in shown.items()
            for problem in (
                differences(value, real[key], at=f"{at}.{key}") if key in real else [f"{at}.{key} is not there"]
            )
        ]
    if isinstance(shown, list) and isinstance(real, list):
        if shown and not real:
            return [f"{at} is empty"]
        return differences(shown[0], real[0], at=f"{at}[0]") if shown else []
    kinds = (int, float) if isinstance(shown, (int, float)) and not isinstance(shown, bool) else type(shown)
    return [] if isinstance(real, kinds) else [f"{at} is {real!r}, not like {shown!r}"]
