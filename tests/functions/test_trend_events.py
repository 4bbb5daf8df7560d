"""What `verify` believes and what it refuses; nothing here opens a socket or reads a clock."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.trend_events import (
    MAX_BODY,
    MAX_SIGNATURES,
    Malformed,
    NotGenuine,
    OtherEvent,
    TooLarge,
    TrendEvent,
    WebhookError,
    verify,
)

from .signing import NOW, OTHER_SECRET, SECRET, signature, signed_headers, trend_body

SAMPLES = sorted(path for path in (Path(__file__).parent / "samples").iterdir() if path.is_dir())


def check(headers: dict[str, str], body: bytes, *, secrets: list[str] | None = None, now: float = NOW) -> Any:
    return verify(headers, body, secrets=[SECRET] if secrets is None else secrets, now=now)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.name)
def test_recorded_requests(sample: Path) -> None:
    headers = json.loads((sample / "headers.json").read_text(encoding="utf-8"))
    expected = json.loads((sample / "expected.json").read_text(encoding="utf-8"))
    body = (sample / "body").read_bytes()
    if "status" in expected:
        with pytest.raises(WebhookError) as refusal:
            check(headers, body)
        assert {"status": refusal.value.status, "code": refusal.value.code} == expected
    else:
        event = check(headers, body)
        assert {"webhook_id": event.webhook_id, "type": event.type} == expected


def test_a_genuine_event_keeps_every_field_of_the_sender() -> None:
    body = trend_body(z_score=7.5, added_next_year={"by": "the sender"})
    event = check(signed_headers(body), body)
    assert isinstance(event, TrendEvent)
    assert event.trend.keyword == "두바이쫀득쿠키"
    assert event.trend.trend_score == 0.93
    assert event.content == json.loads(body)


def test_a_type_that_is_not_ours_is_genuine_and_not_acted_on() -> None:
    body = b'{"type": "video.archived", "timestamp": "2026-09-21T13:33:20Z", "data": {}}'
    event = check(signed_headers(body), body)
    assert type(event) is OtherEvent
    assert event.type == "video.archived"


def test_the_published_example_of_standard_webhooks_is_believed() -> None:
    body = b'{"test": 2432232314}'
    headers = {
        "Webhook-Id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "Webhook-Timestamp": "1614265330",
        "Webhook-Signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        "Content-Type": "application/json",
    }
    secrets = ["whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]
    with pytest.raises(Malformed, match="type: Field required"):  # genuine, and not an event of ours
        verify(headers, body, secrets=secrets, now=1614265330)
    with pytest.raises(NotGenuine):
        verify(headers, body.replace(b"4", b"5"), secrets=secrets, now=1614265330)


# Forgeries


@given(data=st.data())
def test_one_bit_flipped_in_the_body_is_refused(data: st.DataObject) -> None:
    body = trend_body()
    bit = data.draw(st.integers(0, len(body) * 8 - 1))
    forged = flip(body, bit)
    with pytest.raises(NotGenuine):
        check(signed_headers(body), forged)


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_every_bit_flipped_in_a_signed_header_is_refused(name: str) -> None:
    body = trend_body()
    headers = signed_headers(body)
    value = headers[name].encode()
    for bit in range(len(value) * 8):
        forged = flip(value, bit).decode("latin-1")
        with pytest.raises(NotGenuine):
            check(headers | {name: forged}, body)


@given(text=st.text(max_size=200), timestamp=st.text(max_size=20), webhook_id=st.text(max_size=40))
def test_any_text_as_headers_is_refused_and_never_an_accident(text: str, timestamp: str, webhook_id: str) -> None:
    body = trend_body()
    for headers in (
        {"webhook-signature": text},
        {"webhook-timestamp": timestamp},
        {"webhook-id": webhook_id},
        {"webhook-id": webhook_id, "webhook-timestamp": timestamp, "webhook-signature": text},
    ):
        if headers != {"webhook-id": "msg_1"}:
            with pytest.raises(NotGenuine):
                check(signed_headers(body) | headers, body)


@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        "v1",
        "v1,",
        ",",
        "v1,,",
        "v1,not base64!",
        "v1,AAAA,BBBB",
        "v1,AA",
        "v1," + "A" * 43 + "=",
        "v1a,AAAA",
        "v2,AAAA",
        "V1,AAAA",
        "v1,서명",
        "v1,\udcff",
        "\x00",
        "v1," + "A" * 60_000,
        " ".join(["v1,AAAA"] * 5_000),
    ],
)
def test_malformed_signatures_are_not_genuine(value: str) -> None:
    body = trend_body()
    with pytest.raises(NotGenuine):
        check(signed_headers(body) | {"webhook-signature": value}, body)


@pytest.mark.parametrize(
    "value",
    ["", "now", "-1", "+1790000000", "01790000000", "1790000000.0", "1.79e9", "1_790_000_000", "１７９０００００００",
     " 1790000000", "1790000000\n", "9" * 400, "nan", "inf"],
)  # fmt: skip
def test_a_timestamp_has_one_form_only_even_when_signed(value: str) -> None:
    body = trend_body()
    with pytest.raises(NotGenuine, match="webhook-timestamp is missing"):
        check(signed_headers(body, timestamp=value), body)


@pytest.mark.parametrize("value", ["", "a.b", "msg 1", "msg_1\n", "m" * 256, "메시지", "\x00"])
def test_an_id_has_one_form_only_even_when_signed(value: str) -> None:
    body = trend_body()
    with pytest.raises(NotGenuine, match="webhook-id"):
        check(signed_headers(body, webhook_id=value), body)


@pytest.mark.parametrize("missing", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_each_header_is_needed(missing: str) -> None:
    body = trend_body()
    headers = signed_headers(body)
    del headers[missing]
    with pytest.raises(NotGenuine):
        check(headers, body)


def test_the_signature_of_another_secret_or_no_secret_is_refused() -> None:
    body = trend_body()
    with pytest.raises(NotGenuine):
        check(signed_headers(body, secret=OTHER_SECRET), body)
    with pytest.raises(NotGenuine):
        check(signed_headers(body), body, secrets=[])


# Time


@pytest.mark.parametrize(
    ("age", "genuine"),
    [(-301, False), (-300.001, False), (-300, True), (0, True), (300, True), (300.001, False), (301, False)],
)
def test_five_minutes_both_ways_and_not_a_moment_more(age: float, genuine: bool) -> None:
    body = trend_body()
    if genuine:
        assert check(signed_headers(body), body, now=NOW + age).webhook_id == "msg_1"
    else:
        with pytest.raises(NotGenuine, match="more than 300 s"):
            check(signed_headers(body), body, now=NOW + age)


def test_a_broken_clock_believes_nobody() -> None:
    body = trend_body()
    with pytest.raises(NotGenuine):
        check(signed_headers(body), body, now=float("nan"))


# Rotation


def test_while_rotating_either_secret_is_believed() -> None:
    body = trend_body()
    for secret in (SECRET, OTHER_SECRET):
        assert check(signed_headers(body, secret=secret), body, secrets=[SECRET, OTHER_SECRET])


def test_a_sender_that_rotates_sends_several_signatures_and_one_is_enough() -> None:
    body = trend_body()
    both = f"v1a,AAAA {signature('msg_1', NOW, body, secret=OTHER_SECRET)} {signature('msg_1', NOW, body)}"
    assert check(signed_headers(body) | {"webhook-signature": both}, body)


def test_the_number_of_signatures_is_bounded() -> None:
    body = trend_body()
    good = signature("msg_1", NOW, body)
    most = " ".join(["v1,AAAA"] * (MAX_SIGNATURES - 1) + [good])
    assert check(signed_headers(body) | {"webhook-signature": most}, body)
    with pytest.raises(NotGenuine, match="More than"):
        check(signed_headers(body) | {"webhook-signature": "v1,AAAA " + most}, body)


# Content


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"[]", "not a JSON object"),
        (b"null", "not a JSON object"),
        (b'{"a": NaN}', "not JSON"),
        (b'{"a": "\\ud800"}', "not JSON"),
        (b'{"a": 1e400}', "not finite"),
        (b'{"a": [{"b\\u0000": 1}]}', "NUL"),
        (b'{"a": ["\\u0000"]}', "NUL"),
        (b"[" * 9000 + b"]" * 9000, "not JSON"),
        (b'{"a": ' + b"9" * 6000 + b"}", "not JSON"),
        (b"{}", "type: Field required"),
        (b'{"type": "trend.detected", "timestamp": "2026-09-21T13:33:20Z"}', "data: Field required"),
        (b'{"type": "trend.detected", "timestamp": "yesterday", "data": {}}', "timestamp"),
        (b'{"type": "trend.detected", "timestamp": "2026-09-21T13:33:20", "data": {}}', "timestamp"),
        (b'{"type": "trend.detected", "timestamp": "2026-09-21T13:33:20Z", "data": []}', "data"),
        (b'{"type": "", "timestamp": "2026-09-21T13:33:20Z", "data": {}}', "type"),
    ],
)
def test_genuine_and_malformed_content_is_400_not_401(body: bytes, message: str) -> None:
    with pytest.raises(Malformed, match=message):
        check(signed_headers(body), body)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("keyword", ""),
        ("keyword", "가" * 256),
        ("keyword", None),
        ("keyword", 7),
        ("region_code", "K"),
        ("region_code", "KR; --"),
        ("trend_score", 1.01),
        ("trend_score", -0.01),
        ("trend_score", "0.9"),
        ("trend_score", True),
        ("trend_score", None),
    ],
)
def test_each_field_of_a_trend_is_checked_and_named(field: str, value: object) -> None:
    body = trend_body(**{field: value})
    with pytest.raises(Malformed, match=rf"data\.{field}"):
        check(signed_headers(body), body)


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/x-www-form-urlencoded", "application/jsonp"])
def test_only_json_is_read(content_type: str) -> None:
    body = trend_body()
    with pytest.raises(Malformed, match="content type"):
        check(signed_headers(body) | {"content-type": content_type}, body)


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "Application/JSON"])
def test_json_may_name_its_charset(content_type: str) -> None:
    body = trend_body()
    assert check(signed_headers(body) | {"content-type": content_type}, body)


def test_a_body_that_is_not_utf_8_is_refused_even_when_signed() -> None:
    body = b'{"type": "\xff"}'
    with pytest.raises(NotGenuine, match="UTF-8"):
        check(signed_headers(body), body)


def test_the_longest_body_is_read_and_one_byte_more_is_not() -> None:
    body = trend_body(note="x" * 1000)
    body = trend_body(note="x" * (1000 + MAX_BODY - len(body)))
    assert len(body) == MAX_BODY
    assert check(signed_headers(body), body)
    longer = body + b" "
    with pytest.raises(TooLarge):
        check(signed_headers(longer), longer)


def flip(value: bytes, bit: int) -> bytes:
    changed = bytearray(value)
    changed[bit // 8] ^= 1 << (bit % 8)
    return bytes(changed)
