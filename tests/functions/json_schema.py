"""As much of JSON Schema 2020-12 as docs/openapi.json uses; a keyword that is not known here is an error."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

SAYS_NOTHING = {"description", "title", "default", "examples", "then"}
TYPES: dict[str, Callable[[Any], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
}
FORMATS: dict[str, Callable[[str], Any]] = {"date-time": datetime.fromisoformat, "uuid": UUID}


def at(document: Mapping[str, Any], reference: str) -> Any:
    """What `#/a/b` names in the document; KeyError when there is nothing."""
    found: Any = document
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    return found


def violations(value: Any, schema: Mapping[str, Any], *, of: Mapping[str, Any], place: str = "$") -> list[str]:
    """What of `value` is against `schema`, a part of the document `of`; nothing when it conforms."""
    found = [
        problem
        for keyword, told in schema.items()
        if keyword not in SAYS_NOTHING
        for problem in check(keyword, told, value, schema, of, place)
    ]
    return [problem if problem.startswith("$") else f"{place}: {problem}" for problem in found]


def check(
    keyword: str, told: Any, value: Any, schema: Mapping[str, Any], document: Mapping[str, Any], place: str
) -> list[str]:
    def inner(part: Mapping[str, Any], one: Any, where: str = "") -> list[str]:
        return violations(one, part, of=document, place=f"{place}{where}")

    match keyword:
        case "$ref":
            return inner(at(document, told), value)
        case "type":
            return [] if TYPES[told](value) else [f"{value!r} is no {told}"]
        case "const":
            return [] if value == told and type(value) is type(told) else [f"{value!r} is not {told!r}"]
        case "enum":
            return [] if value in told else [f"{value!r} is none of {told}"]
        case "allOf":
            return [problem for part in told for problem in inner(part, value)]
        case "anyOf":
            return [] if any(not inner(part, value) for part in told) else [f"{value!r} is none of anyOf"]
        case "oneOf":
            fits = sum(not inner(part, value) for part in told)
            return [] if fits == 1 else [f"{value!r} is {fits} of oneOf"]
        case "if":
            return [] if inner(told, value) else inner(schema["then"], value)
        case "format":
            try:
                FORMATS[told](value if isinstance(value, str) else "")
            except ValueError:
                return [f"{value!r} is no {told}"]
            return []
        case "pattern":
            return [] if not isinstance(value, str) or re.search(told, value) else [f"{value!r} is not {told}"]
        case "required":
            return [f"{name} is missing" for name in told if isinstance(value, dict) and name not in value]
        case "properties":
            known = [name for name in told if isinstance(value, dict) and name in value]
            return [problem for name in known for problem in inner(told[name], value[name], f".{name}")]
        case "additionalProperties":
            more = (
                [name for name in value if name not in schema.get("properties", {})] if isinstance(value, dict) else []
            )
            if isinstance(told, bool):
                return [] if told else [f"{name} is not known" for name in more]
            return [problem for name in more for problem in inner(told, value[name], f".{name}")]
        case "items":
            items = list(enumerate(value)) if isinstance(value, list) else []
            return [problem for index, one in items for problem in inner(told, one, f"[{index}]")]
        case "minimum":
            return [] if value >= told else [f"{value!r} is below {told}"]
        case "maximum":
            return [] if value <= told else [f"{value!r} is above {told}"]
        case "minLength" | "minItems":
            return [] if len(value) >= told else [f"shorter than {told}"]
        case "maxLength" | "maxItems":
            return [] if len(value) <= told else [f"longer than {told}"]
    raise ValueError(f"{place}: the keyword {keyword} is not known")
