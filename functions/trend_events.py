"""Headers and bytes in, a genuine event or an exception out: no network, no clock, no globals.

WebhookError
├── NotGenuine   401  unsigned, wrongly signed, too old or too new
├── Malformed    400  genuine, but not an event as agreed
└── TooLarge     413  longer than the handler takes
"""

from __future__ import annotations

import hmac
import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import from_json
from standardwebhooks import Webhook

MAX_BODY = 20_000  # bytes; Standard Webhooks asks senders to stay below 20 kB
TOLERANCE = 300  # seconds, both ways and inclusive
MAX_SIGNATURES = 10  # a rotation needs two; this bounds the work a stranger can ask for

# The signed text is "id.timestamp.body": with a full stop inside the id it could be cut in two ways.
WEBHOOK_ID = re.compile(r"[!-\-/-~]{1,255}")
UNIX_SECONDS = re.compile(r"[1-9][0-9]{0,11}")


class WebhookError(Exception):
    """A request that is refused; `hint` tells the sender what to do about it."""

    status = 400
    code = "malformed"

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class NotGenuine(WebhookError):  # noqa: N818 -- reads as the refusal it is, next to its siblings
    """The request does not prove that it comes from a holder of the secret."""

    status = 401
    code = "not_genuine"


class Malformed(WebhookError):  # noqa: N818
    """The request is genuine, and its content is not what was agreed."""


class TooLarge(WebhookError):  # noqa: N818
    """The body is longer than `limit` bytes."""

    status = 413
    code = "too_large"

    def __init__(self, limit: int = MAX_BODY) -> None:
        super().__init__(f"The body is longer than {limit} bytes.", hint="Send a reference, or the content in parts.")


class Trend(BaseModel):
    """What `data` of every event of a trend holds; senders may add fields, and they are kept."""

    model_config = ConfigDict(extra="allow", frozen=True)

    keyword: str = Field(min_length=1, max_length=255)
    region_code: str = Field(pattern=r"^[A-Za-z]{2,10}$")
    trend_score: float = Field(ge=0, le=1, strict=True)


class Envelope(BaseModel):
    """What every event has in common, by Standard Webhooks."""

    model_config = ConfigDict(extra="allow", frozen=True)

    type: str = Field(min_length=1, max_length=100)
    timestamp: AwareDatetime
    data: dict[str, Any]


class ChangedTrend(Trend):
    """The `data` of a trend.updated event: which trend it is, and when it was found."""

    id: UUID
    detected_at: AwareDatetime


DATA: dict[str, type[Trend]] = {"trend.detected": Trend, "trend.updated": ChangedTrend}
"""The types of events that handlers act on, and what their `data` holds."""


class OtherEvent(BaseModel):
    """A genuine event of a type that this handler does not act on; webhook.test is one."""

    model_config = ConfigDict(frozen=True)

    webhook_id: str
    type: str


class TrendEvent(OtherEvent):
    """A genuine event of the wanted type; `content` is the JSON object exactly as it was signed."""

    trend: Trend
    content: dict[str, Any]


def verify(
    headers: Mapping[str, str], body: bytes, *, secrets: Sequence[str], now: float, wanted: str = "trend.detected"
) -> TrendEvent | OtherEvent:
    """Return the event that `headers` and `body` carry, or raise a WebhookError.

    secrets: `whsec_…` strings; any of them may have signed (two while one replaces the other).
    now: Unix time in seconds.
    wanted: the type of event that is acted on, a key of DATA.
    """
    if len(body) > MAX_BODY:
        raise TooLarge
    named = {name.lower(): value for name, value in headers.items()}
    webhook_id = check_signature(named, body, secrets=secrets, now=now)
    content = parse_object(named.get("content-type", ""), body)
    place: tuple[int | str, ...] = ()
    try:
        envelope = Envelope.model_validate(content)
        if envelope.type != wanted:
            return OtherEvent(webhook_id=webhook_id, type=envelope.type)
        place = ("data",)
        trend = DATA[wanted].model_validate(envelope.data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in (*place, *first["loc"]))
        raise Malformed(f"{field}: {first['msg']}.", hint="See docs/webhooks.md for the fields of an event.") from error
    return TrendEvent(webhook_id=webhook_id, type=envelope.type, trend=trend, content=content)


def check_signature(headers: Mapping[str, str], body: bytes, *, secrets: Sequence[str], now: float) -> str:
    """Return the webhook id once a signature over id, timestamp and body matches one of `secrets`.

    `Webhook.verify` of the library reads the clock itself and lets ValueError out on a malformed signature, so only
    its `sign` is used: signatures are compared as text, in constant time, and nothing a stranger sends is decoded.
    """
    webhook_id = headers.get("webhook-id", "")
    timestamp = headers.get("webhook-timestamp", "")
    given = headers.get("webhook-signature", "").split(" ")
    if not WEBHOOK_ID.fullmatch(webhook_id):
        raise NotGenuine("webhook-id is missing or not an id.", hint="Send 1 to 255 ASCII characters, no full stop.")
    if not UNIX_SECONDS.fullmatch(timestamp):
        raise NotGenuine("webhook-timestamp is missing or not a time.", hint="Send whole Unix seconds.")
    if not abs(now - int(timestamp)) <= TOLERANCE:
        raise NotGenuine(
            f"webhook-timestamp is more than {TOLERANCE} s from now.", hint="Sign each attempt anew; check the clock."
        )
    if len(given) > MAX_SIGNATURES:
        raise NotGenuine(f"More than {MAX_SIGNATURES} signatures.", hint="Send one for each secret in use.")
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise NotGenuine("The body is not UTF-8.", hint="Sign and send the same UTF-8 text.") from None
    signed_at = datetime.fromtimestamp(int(timestamp), tz=UTC)
    expected = [Webhook(secret).sign(webhook_id, signed_at, text).encode() for secret in secrets]
    # A list: every pair is compared, so that the time taken tells nothing about which one was close.
    matches = [hmac.compare_digest(ours, theirs.encode(errors="replace")) for ours in expected for theirs in given]
    if True not in matches:
        raise NotGenuine("No signature matches.", hint="Sign '<id>.<timestamp>.<body>' with the endpoint's secret.")
    return webhook_id


def parse_object(content_type: str, body: bytes) -> dict[str, Any]:
    """Return the JSON object in `body`; everything in it can be stored as jsonb."""
    if content_type.partition(";")[0].strip().lower() != "application/json":
        raise Malformed("The content type is not application/json.", hint="Send content-type: application/json.")
    try:
        content = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise Malformed(f"The body is not JSON: {error}.", hint="Send one JSON object.") from error
    if not isinstance(content, dict):
        raise Malformed("The body is not a JSON object.", hint="Send {type, timestamp, data}.")
    if not is_storable(content):
        raise Malformed("A text holds NUL or a number is not finite.", hint="jsonb stores neither; leave them out.")
    return content


def is_storable(value: object) -> bool:
    """Whether Postgres can keep a JSON value as jsonb: no NUL in a text, no number beyond a double."""
    match value:
        case str():
            return "\x00" not in value
        case float():
            return math.isfinite(value)
        case dict():
            return all(is_storable(key) and is_storable(item) for key, item in value.items())
        case list():
            return all(map(is_storable, value))
    return True
