"""Reads tables from files: CSV, gzip or not, row by row; each row becomes a value or a refusal with file and line.

What every format of a data set shares. Pure: nothing here knows a database or a network.
"""

from __future__ import annotations

import csv
import gzip
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import TextIO, TypeVar

from ..errors import DatasetError
from ..messages import TEXTS, Language, text
from .regions import REGIONS

__all__ = ["Refusal"]

MAX_TEXT = 1_000  # characters; YouTube's own limit for a title is 100
MAX_COUNT = 10**12  # more than all of YouTube's best watched videos together
YEARS = range(2005, 2100)  # YouTube's first year and on
VIDEO_ID = re.compile(r"[A-Za-z0-9_-]{1,20}")
SHOWN = 40  # characters of a refused value that a message shows

Row = TypeVar("Row")
Column = str | tuple[str, ...]
"""The name of a column, or the names that sources give it."""


@dataclass(frozen=True)
class Refusal:
    """One row that was not taken. `code` is our own name of the problem, or the database's code."""

    file: str
    line: int
    code: str
    detail: str

    def say(self, language: Language = "en") -> str:
        """Where and why, in one line."""
        return f"{self.file}:{self.line}: {self.message(language)}"

    def message(self, language: Language = "en") -> str:
        """Why: `detail` names the column and the value, or is the database's whole sentence."""
        key = f"refused_{self.code}"
        return f"{self.detail}: {text(key, language=language)}" if key in TEXTS else self.detail


class RefusedError(Exception):
    """A value is refused with `code`; whoever reads the row makes it a Refusal."""

    def __init__(self, code: str, column: str, value: str) -> None:
        super().__init__(code)
        self.code = code
        self.detail = f"{column} {value[:SHOWN] + ('…' if len(value) > SHOWN else '')!r}"


def open_text(file: Path) -> TextIO:
    """The file as text, unpacked when its name ends in .gz."""
    # Bytes that are not UTF-8 pass as surrogates, so that one bad row is refused and not the file.
    opened = gzip.open if file.suffix == ".gz" else open
    return opened(file, mode="rt", encoding="utf-8-sig", errors="surrogateescape", newline="")


def read_header(file: Path) -> list[str]:
    """The names of the columns; raises DatasetError when the file cannot be read."""
    try:
        with open_text(file) as opened:
            return next(csv.reader(opened, strict=True), [])
    except (OSError, EOFError, zlib.error, csv.Error) as error:
        raise DatasetError("dataset_unreadable", file=file, line=0, problem=error) from error


def read_table(
    file: Path,
    *,
    columns: Sequence[Column],
    optional: Sequence[Column] = (),
    parse: Callable[..., Row | Refusal],
) -> Iterator[Row | Refusal]:
    """`parse(fields, file=…, line=…)` of each row, with the fields in the order of `columns` and then `optional`.

    A missing optional column is empty in every row. Raises DatasetError when the file as a whole cannot be used.
    """
    name = file.name
    ended = 0  # the physical line on which the last record ended: a quoted field may span lines
    try:
        with open_text(file) as opened:
            reader = csv.reader(opened, strict=True)
            header = next(reader, [])
            places = _places(file, header, columns=columns, optional=optional)
            while True:
                ended = reader.line_num
                try:
                    fields = next(reader)
                except StopIteration:
                    return
                except csv.Error as error:
                    yield Refusal(name, ended + 1, "bad_csv", str(error))
                    continue
                if len(fields) == len(header):
                    fields.append("")  # where a missing column points
                    yield parse([fields[place] for place in places], file=name, line=ended + 1)
                elif fields:
                    yield Refusal(name, ended + 1, "wrong_field_count", f"{len(fields)} / {len(header)}")
    except (OSError, EOFError, zlib.error, csv.Error) as error:
        raise DatasetError("dataset_unreadable", file=file, line=ended, problem=error) from error


def _places(file: Path, header: list[str], *, columns: Sequence[Column], optional: Sequence[Column]) -> list[int]:
    def place(column: Column) -> int:
        names = (column,) if isinstance(column, str) else column
        return next((header.index(name) for name in names if name in header), -1)

    missing = [column if isinstance(column, str) else column[0] for column in columns if place(column) < 0]
    if missing:
        shown = ", ".join(header)[:200] or "(nothing)"
        raise DatasetError("dataset_column_missing", file=file, columns=", ".join(missing), header=shown)
    return [place(column) for column in (*columns, *optional)]


def present(column: str, value: str) -> str:
    """The value; refused when it is empty or holds a NUL byte."""
    if not value.strip():
        raise RefusedError("missing_value", column, value)
    if "\0" in value:
        raise RefusedError("nul_byte", column, value)
    return value


def words(column: str, value: str, *, most: int = MAX_TEXT) -> str:
    """The value as a text of at most `most` characters."""
    present(column, value)
    if len(value) > most:
        raise RefusedError("too_long", column, value)
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise RefusedError("bad_encoding", column, value)
    return value


def optional_words(column: str, value: str) -> str | None:
    return words(column, value) if value else None


def video_id_of(column: str, value: str) -> str:
    if VIDEO_ID.fullmatch(value) is None:
        raise RefusedError("bad_video_id", column, present(column, value))
    return value


def region_of(column: str, value: str) -> str:
    if value not in REGIONS:
        raise RefusedError("unknown_region", column, present(column, value))
    return value


def count_of(column: str, value: str) -> int:
    digits = value.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()):
        raise RefusedError("bad_number", column, present(column, value))
    if digits is not value and digits.strip("0"):
        raise RefusedError("negative_count", column, value)
    if len(digits) > 18 or int(digits) > MAX_COUNT:
        raise RefusedError("too_large", column, value)
    return int(digits)


def optional_count(column: str, value: str) -> int | None:
    return count_of(column, value) if value else None


@lru_cache(maxsize=4096)
def utc(value: str) -> datetime | None:
    """The time in UTC; None when it is none, has no time zone, or lies outside YouTube's years."""
    try:
        time = datetime.fromisoformat(value)
    except ValueError:
        return None
    # The year is looked at first: converting the calendar's very ends would overflow.
    if time.tzinfo is None or time.year not in YEARS:
        return None
    return time.astimezone(UTC)


def time_of(column: str, value: str) -> datetime:
    time = utc(value)
    if time is None:
        raise RefusedError("bad_time", column, present(column, value))
    return time


def flag_of(column: str, value: str) -> bool | None:
    """True, false, or None where it is empty; whatever the letters' case."""
    if not value:
        return None
    flags = {"true": True, "false": False}
    if value.lower() not in flags:
        raise RefusedError("bad_flag", column, value)
    return flags[value.lower()]


def tags_of(column: str, value: str) -> tuple[str, ...]:
    """Tags joined by |, each with or without quotes; [None] and [none] are none."""
    if not value or value.lower() == "[none]":
        return ()
    tags = (tag.strip().strip('"').strip() for tag in words(column, value, most=10 * MAX_TEXT).split("|"))
    return tuple(tag for tag in tags if tag)
