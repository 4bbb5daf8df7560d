"""Dumps of the YouTube Data API: answers of videos.list, arrays of their resources, or one of either per line.

A JSON document is taken apart element by element, so that what is held in memory is one resource, not the file.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from ..errors import DatasetError
from .csv_videos import SourcedVideo
from .tables import SHOWN, Refusal, open_text
from .youtube import Unusable, video_input

__all__ = ["read_dump"]

CHUNK = 1 << 16  # characters
LONGEST = 1 << 22  # characters of one resource, or of one line; YouTube's are about 5,000
LINES = (".ndjson", ".jsonl")
VIDEO = "youtube#video"

_decoder = json.JSONDecoder()
_SPACE = " \t\r\n"


def read_dump(file: Path, *, collected_at: str) -> Iterator[SourcedVideo | Refusal]:
    """Stream the videos; `collected_at` (ISO 8601) is when they were read, as the API's answers do not say.

    A resource that cannot be used is a refusal. Raises DatasetError when the file as a whole cannot be used.
    """
    name, line = file.name, 0
    try:
        with open_text(file) as opened:
            elements = _lines(opened) if is_lines(file) else _document(opened)
            for line, element in elements:
                if isinstance(element, _BadError):
                    yield Refusal(name, line, "bad_json", str(element))
                else:
                    yield from _videos(element, file=name, line=line, collected_at=collected_at)
    except _BadError as error:
        raise DatasetError("dataset_unreadable", file=file, line=error.line, problem=error) from error
    except (OSError, EOFError, zlib.error, RecursionError) as error:
        raise DatasetError("dataset_unreadable", file=file, line=line, problem=error) from error


def is_lines(file: Path) -> bool:
    """Whether each line is a document of its own."""
    return Path(file.name.removesuffix(".gz")).suffix in LINES


class _BadError(Exception):
    """No JSON, or more of it in one piece than is taken; `line` is where."""

    def __init__(self, problem: str, line: int) -> None:
        super().__init__(problem)
        self.line = line


def _videos(element: Any, *, file: str, line: int, collected_at: str) -> Iterator[SourcedVideo | Refusal]:
    if isinstance(element, dict) and isinstance(element.get("items"), list):
        for item in element["items"]:
            yield from _videos(item, file=file, line=line, collected_at=collected_at)
        return
    kind = element.get("kind", VIDEO) if isinstance(element, dict) else VIDEO
    if kind != VIDEO:
        yield Refusal(file, line, "no_video", f"kind {str(kind)[:SHOWN]!r}")
        return
    video = video_input(element, collected_at=collected_at)
    if isinstance(video, Unusable):
        yield Refusal(file, line, video.code, video.detail)
    else:
        yield SourcedVideo(video, file, line)


def _lines(opened: TextIO) -> Iterator[tuple[int, Any]]:
    number = 0
    while text := opened.readline(LONGEST):
        number += 1
        if len(text) == LONGEST and not text.endswith("\n"):
            raise _BadError(f"a line of more than {LONGEST} characters", number)
        if not text.strip():
            continue
        try:
            yield number, json.loads(text)
        except (ValueError, RecursionError) as error:
            yield number, _BadError(str(error)[:200], number)


class _Buffer:
    """What of a document was read and not yet taken."""

    def __init__(self, opened: TextIO) -> None:
        self.line = 1
        self._opened = opened
        self._text = ""
        self._place = 0

    def peek(self) -> str:
        """The next character that is no space; empty at the end."""
        while True:
            while self._place < len(self._text):
                if self._text[self._place] not in _SPACE:
                    return self._text[self._place]
                self.line += self._text[self._place] == "\n"
                self._place += 1
            if not self._more():
                return ""

    def take(self, wanted: str) -> None:
        """Pass `wanted`."""
        if self.peek() != wanted:
            raise _BadError(f"{wanted!r} is missing", self.line)
        self._place += 1

    def value(self) -> Any:
        """The next value, whole."""
        self.peek()
        while True:
            try:
                value, end = _decoder.raw_decode(self._text, self._place)
                if end < len(self._text) or not self._more():  # a number may go on
                    break
            except ValueError as error:
                if not self._more():
                    raise _BadError(str(error)[:200], self.line) from error
        self.line += self._text.count("\n", self._place, end)
        self._place = end
        return value

    def _more(self) -> bool:
        rest = self._text[self._place :]
        if len(rest) > LONGEST:
            raise _BadError(f"a value of more than {LONGEST} characters, or no JSON", self.line)
        # Twice as much as there is: a long value is then tried a few times, not once a chunk.
        read = self._opened.read(max(CHUNK, len(rest)))
        self._text, self._place = rest + read, 0
        return bool(read)


def _document(opened: TextIO) -> Iterator[tuple[int, Any]]:
    """The elements of an array, those of an object's `items`, or the object."""
    buffer = _Buffer(opened)
    if buffer.peek() == "[":
        yield from _elements(buffer)
    elif buffer.peek() == "{":
        yield from _members(buffer)
    else:
        raise _BadError("neither an object nor an array", buffer.line)
    if buffer.peek():
        raise _BadError("more after the end", buffer.line)


def _elements(buffer: _Buffer) -> Iterator[tuple[int, Any]]:
    buffer.take("[")
    while buffer.peek() != "]":
        line = buffer.line
        yield line, buffer.value()
        if buffer.peek() != "]":
            buffer.take(",")
    buffer.take("]")


def _members(buffer: _Buffer) -> Iterator[tuple[int, Any]]:
    line, others, is_page = buffer.line, {}, False
    buffer.take("{")
    while buffer.peek() != "}":
        name = buffer.value()
        buffer.take(":")
        if name == "items" and buffer.peek() == "[":
            is_page = True
            yield from _elements(buffer)
        else:
            others[str(name)] = buffer.value()
        if buffer.peek() != "}":
            buffer.take(",")
    buffer.take("}")
    if not is_page:
        yield line, others
