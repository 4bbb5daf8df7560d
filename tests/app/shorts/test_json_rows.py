"""Rows are cut out of any body as it comes, whatever the pieces."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.shorts.json_rows import NO_ROW, BrokenRowsError, JsonRows

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**12), 10**12) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def cut(body: bytes, *, size: int = 7, max_row: int = 1_000_000) -> list[object]:
    rows = JsonRows(max_row=max_row)
    found = [row for start in range(0, len(body), size) for row in rows.feed(body[start : start + size])]
    return [*found, *rows.close()]


@settings(deadline=None)
@given(rows=st.lists(JSON, max_size=6), size=st.integers(1, 40), indent=st.sampled_from([None, 2]), plain=st.booleans())
def test_an_array_gives_its_rows_whatever_the_pieces(rows: list[Any], size: int, indent: Any, plain: bool) -> None:
    body = json.dumps(rows, indent=indent, ensure_ascii=plain)
    try:
        encoded = body.encode()
    except UnicodeEncodeError:  # half a surrogate pair cannot be sent
        return
    if "\\ud" not in body:
        assert cut(encoded, size=size) == rows


@settings(deadline=None)
@given(rows=st.lists(JSON, max_size=6), size=st.integers(1, 40), end=st.sampled_from(["\n", "\r\n", "\n\n"]))
def test_lines_give_their_rows_whatever_the_pieces(rows: list[Any], size: int, end: str) -> None:
    lines = [json.dumps({"row": row}) for row in rows]
    if not any("\\ud" in line for line in lines):
        assert cut(end.join(lines).encode(), size=size) == [{"row": row} for row in rows]


@settings(deadline=None)
@given(
    body=st.binary(max_size=300) | st.text(alphabet='[]{}",:\\ \n1at', max_size=60).map(str.encode),
    size=st.integers(1, 9),
)
def test_any_bytes_are_rows_or_broken_and_never_an_accident(body: bytes, size: int) -> None:
    with suppress(BrokenRowsError):
        cut(body, size=size)


@pytest.mark.parametrize("body", [b"[", b'[{"a": 1}', b'[{"a": 1},', b'["a', b"[1, 2"])
def test_an_array_that_was_cut_off_is_told(body: bytes) -> None:
    with pytest.raises(BrokenRowsError, match="does not end"):
        cut(body)


@pytest.mark.parametrize("body", [b"[] x", b"[1]]", b"[1][2]"])
def test_nothing_follows_an_array(body: bytes) -> None:
    with pytest.raises(BrokenRowsError, match="follows"):
        cut(body, size=100)


def test_a_bad_row_costs_only_itself() -> None:
    assert cut(b'[{"a": 1}, {"b": }, nul, {"c": NaN}, "\\ud800", {"d": 2}]') == [{"a": 1}, *[NO_ROW] * 4, {"d": 2}]
    assert cut(b'{"a": 1}\n{"b"\n\xff\n{"d": 2}') == [{"a": 1}, NO_ROW, NO_ROW, {"d": 2}]


def test_a_row_that_is_too_long_is_passed_over_without_being_kept() -> None:
    rows = JsonRows(max_row=100)
    assert list(rows.feed(b'[1, "')) == [1]
    for _ in range(1000):
        assert list(rows.feed(b"x" * 100)) == []
        assert len(rows._row) <= 100
    assert list(rows.feed(b'", 2]')) == [NO_ROW, 2]
    assert list(rows.close()) == []


@pytest.mark.parametrize("body", [b"", b"  \n ", b"[]", b"[ ]", b"\n[]\n"])
def test_nothing_is_no_row(body: bytes) -> None:
    assert cut(body) == []
