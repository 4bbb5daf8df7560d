from __future__ import annotations

import inspect
import re

import pytest

from app import errors
from app.errors import (
    DatasetError,
    InvalidRequestError,
    NotAllowedError,
    NotFoundError,
    OndolError,
    RequestError,
    ServerError,
    TimedOutError,
    TooManyRequestsError,
    UnexpectedAnswerError,
    UnreachableError,
    request_error,
)


def drawn_tree() -> dict[str, str | None]:
    """Class → parent, as the module's docstring draws it."""
    tree: dict[str, str | None] = {}
    path: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        if match := re.match(r"    ([│├└─ ]*)(\w+Error)", line):
            depth = len(match[1]) // 4
            path = [*path[:depth], match[2]]
            tree[match[2]] = path[-2] if depth else None
    return tree


def test_the_docstring_draws_the_tree() -> None:
    classes = {
        name: kind.__bases__[0].__name__ if kind is not OndolError else None
        for name, kind in inspect.getmembers(errors, inspect.isclass)
        if issubclass(kind, OndolError)
    }
    assert drawn_tree() == classes


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("42501", 403, NotAllowedError),
        ("42501", None, NotAllowedError),
        ("PGRST301", 401, NotAllowedError),
        (None, 401, NotAllowedError),
        ("PGRST202", 404, NotFoundError),
        ("42883", 404, NotFoundError),
        (None, 404, NotFoundError),
        ("PT400", 400, InvalidRequestError),
        ("PT403", 403, NotAllowedError),
        ("PT404", 404, NotFoundError),
        ("PT413", 413, InvalidRequestError),
        ("PT429", 429, TooManyRequestsError),
        ("22P02", 400, InvalidRequestError),
        ("23505", 409, InvalidRequestError),
        ("P0001", None, InvalidRequestError),
        (None, 422, InvalidRequestError),
        (None, 429, TooManyRequestsError),
        ("40P01", 500, ServerError),
        ("XX000", 500, ServerError),
        (None, 503, ServerError),
        (None, None, RequestError),
    ],
)
def test_request_error_is_as_precise_as_the_answer(code: str | None, status: int | None, kind: type) -> None:
    assert type(request_error("no", doing="x", code=code, status=status)) is kind


def test_request_error_keeps_the_whole_answer() -> None:
    error = request_error("bad row", doing="ingest_videos", code="22023", details="row 3", hint="Look.", status=400)
    assert (error.message, error.code, error.details, error.hint, error.status) == (
        "bad row",
        "22023",
        "row 3",
        "Look.",
        400,
    )
    assert str(error) == "The backend refused ingest_videos: bad row"
    assert error.say("ko") == "백엔드가 ingest_videos 요청을 거절했습니다: bad row"


def test_the_backends_hint_is_the_next_step_before_ours() -> None:
    with_hint = request_error("no", doing="x", code="42501", hint="Ask the owner.")
    assert with_hint.next_step("ko") == "Ask the owner."
    assert "SUPABASE_SECRET_KEY" in (request_error("no", doing="x", code="42501").next_step("en") or "")
    assert "supabase db push" in (request_error("no", doing="x", code="PGRST202").next_step("ko") or "")
    assert request_error("no", doing="x", code="22P02").next_step("en") is None
    assert "db push" in (UnexpectedAnswerError("found: missing", doing="x").next_step("en") or "")


@pytest.mark.parametrize(
    ("error", "transient"),
    [
        (request_error("deadlock", doing="x", code="40P01", status=500), True),
        (request_error("starting", doing="x", status=503), True),
        (request_error("slow down", doing="x", status=429), True),
        (request_error("bug", doing="x", code="XX000", status=500), False),
        (request_error("no", doing="x", code="42501", status=403), False),
        (UnreachableError("unreachable", url="u", problem="p"), True),
        (TimedOutError("timed_out", url="u", doing="x", seconds=1), True),
        (DatasetError("region_unknown", region="XX"), False),
    ],
)
def test_only_what_may_pass_is_tried_again(error: OndolError, transient: bool) -> None:
    assert error.is_transient is transient


def test_an_error_says_the_next_step_in_both_languages() -> None:
    error = DatasetError("region_unknown", region="XX")
    assert str(error) == "There is no region XX."
    assert error.say("ko") == "XX 지역은 없습니다."
    assert error.next_step("en") != error.next_step("ko")
