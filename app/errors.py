"""Every error that this package raises on purpose.

    OndolError                      say(language), next_step(language)
    ├── SettingsError               a setting is missing or wrong; names it
    ├── DatasetError                a data set cannot be used as a whole; names file, line or column
    ├── SourceError                 a source outside (YouTube, Bright Data) refused or failed
    │   └── QuotaSpentError         the source's quota of today is spent
    ├── RealtimeError               a subscription was refused or could not be kept
    ├── UnreachableError            no answer: no connection, connection lost
    │   └── TimedOutError           no answer in time
    └── RequestError                the backend answered with an error: code, message, details, hint, status
        ├── NotAllowedError         the key or the user may not do this
        ├── NotFoundError           no such function, table or row
        ├── InvalidRequestError     the request itself is wrong
        ├── TooManyRequestsError    over a limit; try later
        ├── ServerError             the backend failed
        └── UnexpectedAnswerError   the backend answered, but not in the agreed form

Library errors become these once, in `app.client`, always with `raise … from`.
"""

from __future__ import annotations

from typing import ClassVar

from .messages import TEXTS, Language, text

__all__ = [
    "DatasetError",
    "InvalidRequestError",
    "NotAllowedError",
    "NotFoundError",
    "OndolError",
    "QuotaSpentError",
    "RealtimeError",
    "RequestError",
    "ServerError",
    "SettingsError",
    "SourceError",
    "TimedOutError",
    "TooManyRequestsError",
    "UnexpectedAnswerError",
    "UnreachableError",
    "request_error",
]


class OndolError(Exception):
    """Something expected went wrong; `key` names the sentence in `app.messages`, `values` fill it."""

    def __init__(self, key: str, **values: object) -> None:
        super().__init__(text(key, language="en", **values))
        self.key = key
        self.values = values

    @property
    def is_transient(self) -> bool:
        """Whether the same call may succeed when it is repeated a little later."""
        return False

    def say(self, language: Language) -> str:
        return text(self.key, language=language, **self.values)

    def next_step(self, language: Language) -> str | None:
        """What the reader can do about it; None when nothing general can be said."""
        key = f"{self.key}.next"
        return text(key, language=language, **self.values) if key in TEXTS else None


class SettingsError(OndolError):
    """A setting is missing or wrong."""


class DatasetError(OndolError):
    """A data set cannot be used as a whole."""


class SourceError(OndolError):
    """A source outside refused the call (`transient` false) or failed for now (`transient` true)."""

    def __init__(self, key: str, *, transient: bool = False, **values: object) -> None:
        super().__init__(key, **values)
        self._is_transient = transient

    @property
    def is_transient(self) -> bool:
        return self._is_transient


class QuotaSpentError(SourceError):
    """The quota of `bucket` is spent until `resets_at`; nothing is lost, the next run goes on."""


class RealtimeError(OndolError):
    """A subscription was refused or could not be kept."""

    @property
    def is_transient(self) -> bool:
        return True


class UnreachableError(OndolError):
    """The backend gave no answer."""

    @property
    def is_transient(self) -> bool:
        return True


class TimedOutError(UnreachableError):
    """The backend gave no answer in time."""


class RequestError(OndolError):
    """The backend answered `doing` with an error."""

    next_step_key: ClassVar[str | None] = None

    def __init__(
        self,
        message: str,
        *,
        doing: str,
        code: str | None = None,
        details: str | None = None,
        hint: str | None = None,
        status: int | None = None,
    ) -> None:
        super().__init__("request_refused", doing=doing, message=message)
        self.message = message
        self.code = code
        self.details = details
        self.hint = hint
        self.status = status

    @property
    def is_transient(self) -> bool:
        return self.code in TRANSIENT_STATES or self.status in TRANSIENT_STATUSES

    def next_step(self, language: Language) -> str | None:
        """The backend's own hint, which knows more, or the general next step of this kind of error."""
        if self.hint:
            return self.hint
        return text(self.next_step_key, language=language) if self.next_step_key else None


class NotAllowedError(RequestError):
    """The key or the user may not do this."""

    next_step_key = "not_allowed.next"


class NotFoundError(RequestError):
    """There is no such function, table or row."""

    next_step_key = "not_found.next"


class InvalidRequestError(RequestError):
    """The request itself is wrong."""


class TooManyRequestsError(RequestError):
    """Over a limit; later it may pass."""

    @property
    def is_transient(self) -> bool:
        return True


class ServerError(RequestError):
    """The backend failed."""


class UnexpectedAnswerError(RequestError):
    """The backend answered, but not in the agreed form."""

    next_step_key = "answer_unexpected.next"

    def __init__(self, problem: str, *, doing: str) -> None:
        super().__init__(problem, doing=doing)
        self.key = "answer_unexpected"
        self.values = {"doing": doing, "problem": problem}


# Deadlock, serialisation, lock not available, too many connections, restarting: the same call may pass later.
TRANSIENT_STATES = {"40001", "40P01", "53300", "55P03", "57P01", "57P02", "57P03", "PGRST000", "PGRST001", "PGRST002"}
TRANSIENT_STATUSES = {502, 503, 504}
NOT_ALLOWED_STATES = {"42501", "28000", "28P01", "PGRST300", "PGRST301", "PGRST302", "PGRST303"}
NOT_FOUND_STATES = {"42883", "42P01", "PGRST116", "PGRST200", "PGRST202", "PGRST204", "PGRST205"}
INVALID_CLASSES = ("22", "23", "P0", "PGRST1")


def request_error(
    message: str | None,
    *,
    doing: str,
    code: str | None = None,
    details: str | None = None,
    hint: str | None = None,
    status: int | None = None,
) -> RequestError:
    """The precise error for an answer: its code decides first, its HTTP status next."""
    kind: type[RequestError] = RequestError
    if code in NOT_ALLOWED_STATES or status in (401, 403):
        kind = NotAllowedError
    elif code in NOT_FOUND_STATES or status == 404:
        kind = NotFoundError
    elif status == 429:
        kind = TooManyRequestsError
    elif code in TRANSIENT_STATES or (status is not None and status >= 500):
        kind = ServerError
    elif (code is not None and code.startswith(INVALID_CLASSES)) or (status is not None and 400 <= status < 500):
        kind = InvalidRequestError
    return kind(message or f"HTTP status {status}", doing=doing, code=code, details=details, hint=hint, status=status)
