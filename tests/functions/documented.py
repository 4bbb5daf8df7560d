"""Compares answers with docs/openapi.json, the file that readers have."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import httpx

from .json_schema import at, violations

FILE = Path(__file__).resolve().parents[2] / "docs" / "openapi.json"
PROBLEM = {"$ref": "#/components/schemas/Problem"}


@cache
def written() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return document


def resolved(part: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = at(written(), part["$ref"]) if "$ref" in part else part
    return found


async def conforms(answer: httpx.Response) -> None:
    """A hook for a client: each answer is one that the document has for its path, status and code."""
    await answer.aread()
    request = answer.request
    item = written()["paths"].get(request.url.path)
    if request.method == "HEAD":
        return
    if item is None:
        assert answer.status_code in (404, 405, 500), answer.text
        assert violations(answer.json(), PROBLEM, of=written()) == []
        return
    operation = next(iter(item.values()))
    told = operation["responses"].get(str(answer.status_code))
    assert told, f"{request.method} {request.url.path} answers {answer.status_code}: {answer.text}"
    if request.method.lower() not in item:
        assert answer.status_code == 405
    told = resolved(told)
    schema = told["content"]["application/json"]["schema"]
    assert answer.headers["content-type"] == "application/json"
    found = violations(answer.json(), schema, of=written())
    assert not found, found
    for name, header in told.get("headers", {}).items():
        assert violations(answer.headers[name], header["schema"], of=written()) == []


CONFORMS = {"response": [conforms]}
