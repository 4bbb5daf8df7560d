"""A JSON array, or one JSON value a line, cut into rows as its bytes arrive: memory holds one row, not the body."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pydantic_core import from_json

__all__ = ["BrokenRowsError", "JsonRows"]

MAX_ROW = 1_000_000  # bytes; a longer row is passed over
NO_ROW = object()
"""Stands for a row that is too long or no JSON."""

_SPACE = b" \t\r\n"
_MARK = re.compile(rb'["{}\[\],]')
_MARK_IN_TEXT = re.compile(rb'["\\]')


class BrokenRowsError(ValueError):
    """The body is neither rows nor an array of rows, or an array that was cut off."""


class JsonRows:
    """Feed it bytes and take rows, each a JSON value or NO_ROW; then take the last ones from `close`."""

    def __init__(self, *, max_row: int = MAX_ROW) -> None:
        self._max_row = max_row
        self._row = bytearray()  # what has come of the row that is not complete
        self._is_too_long = False
        self._is_array: bool | None = None  # by the first byte
        self._has_ended = False
        self._depth = 0  # of brackets in the row
        self._in_text = False
        self._is_escaped = False  # the next byte is, since a backslash ended the last ones

    def feed(self, data: bytes) -> Iterator[object]:
        """The rows that `data` completes."""
        if self._is_array is None:
            data = data.lstrip(_SPACE)
            if not data:
                return
            self._is_array = data.startswith(b"[")
            data = data[1:] if self._is_array else data
        yield from self._feed_array(data) if self._is_array else self._feed_lines(data)

    def close(self) -> Iterator[object]:
        """What is left at the end; raises BrokenRowsError for an array that does not end."""
        if self._is_array and not self._has_ended:
            raise BrokenRowsError("The array does not end.")
        yield from self._complete()

    def _feed_lines(self, data: bytes) -> Iterator[object]:
        first, *others = data.split(b"\n")
        self._keep(first)
        for line in others:
            yield from self._complete()
            self._keep(line)

    def _feed_array(self, data: bytes) -> Iterator[object]:
        start, place = 0, int(self._is_escaped)
        self._is_escaped = False
        while not self._has_ended and (mark := (_MARK_IN_TEXT if self._in_text else _MARK).search(data, place)):
            place = mark.end()
            match mark.group():
                case b"\\":
                    self._is_escaped = place == len(data)
                    place += 1
                case b'"':
                    self._in_text = not self._in_text
                case b"{" | b"[":
                    self._depth += 1
                case b"}" | b"]" if self._depth:
                    self._depth -= 1
                case b"," | b"]" as end if not self._depth:
                    self._keep(data[start : mark.start()])
                    yield from self._complete()
                    start = place
                    self._has_ended = end == b"]"
        if not self._has_ended:
            self._keep(data[start:])
        elif data[start:].strip(_SPACE):
            raise BrokenRowsError("Something follows the array.")

    def _keep(self, data: bytes) -> None:
        self._is_too_long = self._is_too_long or len(self._row) + len(data) > self._max_row
        if self._is_too_long:
            self._row.clear()
        else:
            self._row += data

    def _complete(self) -> Iterator[object]:
        row, is_too_long = bytes(self._row).strip(_SPACE), self._is_too_long
        self._row.clear()
        self._is_too_long = False
        if is_too_long:
            yield NO_ROW
        elif row:
            try:
                yield from_json(row, allow_inf_nan=False)
            except ValueError:
                yield NO_ROW
