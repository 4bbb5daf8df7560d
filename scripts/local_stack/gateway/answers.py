"""JSON answers that the gateway gives itself, in the shapes of the hosted services."""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web
from multidict import CIMultiDict


class Refused(Exception):  # noqa: N818 - it is an answer, not a fault
    """Ends a request with this JSON answer."""

    def __init__(self, status: int, body: dict[str, Any], *, headers: dict[str, str] | None = None) -> None:
        super().__init__(str(body))
        self.status = status
        self.body = body
        self.headers = headers or {}

    def answer(self) -> web.Response:
        return json_answer(self.body, status=self.status, headers=self.headers)


def json_answer(body: Any, *, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(
        body=json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode(),
        status=status,
        headers=CIMultiDict({"Content-Type": "application/json; charset=utf-8", **(headers or {})}),
    )


def no_route() -> Refused:
    return Refused(
        404,
        {
            "message": "no Route matched with those values",
            "hint": "This gateway serves /rest/v1, /auth/v1, /realtime/v1 and /functions/v1.",
        },
    )


def part_down(part: str) -> Refused:
    """The part behind a path does not answer; 503 makes both official clients treat it as worth a retry."""
    return Refused(
        503,
        {
            "code": "part_unavailable",
            "message": f"The {part} part of the local stack does not answer.",
            "details": None,
            "hint": "Try again in a second; ./scripts/dev status shows each part and ./scripts/dev up heals the stack.",
        },
        headers={"Retry-After": "1"},
    )


def auth_error(status: int, code: str, message: str) -> Refused:
    """An error of the auth service: HTTP status, stable code, text."""
    return Refused(status, {"code": status, "error_code": code, "msg": message}, headers={"X-Sb-Error-Code": code})


def database_down() -> Refused:
    return auth_error(503, "unexpected_failure", "The database does not answer; try again in a second.")
