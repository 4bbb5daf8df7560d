"""Filters of Postgres Changes: `column=operator.value`, joined by commas, evaluated on the WAL record."""

from __future__ import annotations

import re
from dataclasses import dataclass

from psycopg import sql

COMPARISONS = {"eq": "=", "neq": "<>", "lt": "<", "lte": "<=", "gt": ">", "gte": ">="}
PATTERNS = {"like": "like", "ilike": "ilike", "match": "~", "imatch": "~*"}
OPERATORS = {*COMPARISONS, *PATTERNS, "in", "is", "isdistinct"}
KEYWORDS = {"null", "true", "false", "unknown"}
MOST_VALUES = 100
CONDITION = re.compile(r"(?P<column>[^=]+)=(?P<negated>not\.)?(?P<operator>[a-z]+)\.(?P<value>.*)", re.DOTALL)


class FilterError(Exception):
    """A filter that cannot be used; the text goes to the client."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition on one column. For `in` the value is a Postgres array literal."""

    column: str
    operator: str
    value: str
    negated: bool = False

    @property
    def kind(self) -> tuple[str, ...]:
        """Conditions of one kind differ by value only and are evaluated together."""
        keyword = self.value if self.operator == "is" else ""
        return self.column, self.operator, str(self.negated), keyword

    def expression(self, column: sql.Composable, *, cast: str) -> sql.Composable:
        """SQL that is true for a row: `column` is text in SQL, `f.x` the condition's value, `cast` the type."""
        typed = sql.SQL("{}::{}").format(column, sql.SQL(cast))
        if self.operator == "in":
            found: sql.Composable = sql.SQL("{} = any (f.x::{}[])").format(typed, sql.SQL(cast))
        elif self.operator == "is":
            found = sql.SQL("{} is {}").format(typed, sql.SQL(self.value))
        elif self.operator == "isdistinct":
            found = sql.SQL("{} is distinct from f.x::{}").format(typed, sql.SQL(cast))
        elif self.operator in PATTERNS:
            found = sql.SQL("{} {} f.x").format(typed, sql.SQL(PATTERNS[self.operator]))
        else:
            found = sql.SQL("{} {} f.x::{}").format(typed, sql.SQL(COMPARISONS[self.operator]), sql.SQL(cast))
        return sql.SQL("not ({})").format(found) if self.negated else found

    def probe(self, *, cast: str) -> sql.Composed:
        """SQL that fails when the condition can never be evaluated on a column of this type; one value as %s."""
        value = {"in": f"f.x::{cast}[]", "is": "null"}.get(self.operator, f"f.x::{cast}")
        if self.operator in ("match", "imatch"):
            value = "'' ~ f.x"
        elif self.operator in PATTERNS:
            value = "'' like f.x"
        return sql.SQL("select {}, {} from unnest(%s::text[]) as f(x)").format(
            sql.SQL(value), self.expression(sql.SQL("null"), cast=cast)
        )


def parse(text: str) -> tuple[Condition, ...]:
    """The conditions of a filter, all of which must hold; raises FilterError."""
    return tuple(parse_condition(part) for part in split(text)) if text else ()


def parse_condition(text: str) -> Condition:
    match = CONDITION.fullmatch(text)
    if match is None or match["operator"] not in OPERATORS:
        raise FilterError(f"Error parsing `filter` params: {text}")
    operator, value = match["operator"], match["value"]
    if operator == "in":
        if not (value.startswith("(") and value.endswith(")")):
            raise FilterError(f"Error parsing `filter` params: {text}")
        values = [unquote(part) for part in split(value[1:-1])]
        if len(values) > MOST_VALUES:
            raise FilterError(f"too many values for `in` filter. Maximum {MOST_VALUES}")
        value = array_literal(values)
    elif operator == "is":
        if value not in KEYWORDS:
            raise FilterError("invalid value for is filter: must be null, true, false, or unknown")
    else:
        value = unquote(value)
    return Condition(column=match["column"], operator=operator, value=value, negated=match["negated"] is not None)


def split(text: str) -> list[str]:
    """Cut at the commas that are outside of quotes and parentheses."""
    parts, start, depth, quoted, position = [], 0, 0, False, 0
    while position < len(text):
        character = text[position]
        if quoted:
            if character == "\\":
                position += 1
            elif character == '"':
                quoted = False
        elif character == '"' and opens_quote(text, position):
            quoted = True
        elif character == "(":
            depth += 1
        elif character == ")":
            depth -= 1
        elif character == "," and depth <= 0:
            parts.append(text[start:position])
            start = position + 1
        position += 1
    return [*parts, text[start:]]


def opens_quote(text: str, position: int) -> bool:
    """A quote opens only where a value starts; elsewhere it is a character like any other."""
    return position == 0 or text[position - 1] in ".,("


def unquote(text: str) -> str:
    if len(text) >= 2 and text[0] == text[-1] == '"':
        return re.sub(r"\\(.)", r"\1", text[1:-1], flags=re.DOTALL)
    return text


def array_literal(values: list[str]) -> str:
    quoted = ('"' + re.sub(r'(["\\])', r"\\\1", value) + '"' for value in values)
    return "{" + ",".join(quoted) + "}"
