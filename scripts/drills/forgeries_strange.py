"""Strange requests: half of them genuine, because an unsigned one never reaches what reads the body."""

from __future__ import annotations

import copy
import gzip
import json
import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from .forgeries_target import Message, genuine, signed

MAX_BODY = 20_000
PIECES: list[bytes] = [
    b'"trend.detected"', b'"trends.observed"', b'"video.analyzed"', b'"type":', b'"timestamp":', b'"items":',
    b'"data":', b'"2026-09-21T13:33:20Z"', b'"keyword":', b"{", b"}", b"[", b"]", b",", b":", b"null", b"true",
    b"1e999", b"-0", b"9" * 400, b'"\\ud800"', b'"\\u0000"', b"\x00", b"\xff", b"\xed\xa0\x80", b"\xef\xbb\xbf", b'"',
    b"\\", b" ",
    "\"두바이쫀득쿠키\"".encode(), "\"\U0001f36a\"".encode(), b"NaN", b"-Infinity", b"//",
]  # fmt: skip
VALUES: list[Any] = [
    None, "", "x" * 300, "\x00", "\ud800", "\U0010ffff", "2026-02-30T00:00:00Z", "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-14:00", -1, 2, 0.5, 1e308, -1e-320, 10**400, True, [], {}, [[[]]], {"": {}}, ["x"] * 50,
]  # fmt: skip
SIGNATURES = [
    b"", b" ", b",", b"v1", b"v1,", b"v1,,", b",v1", b"v1,=", b"v1,\xff\xfe", b"v1," + b"A" * 43, b"v1," + b"A" * 44,
    b"v1," + b"!" * 44, b"v1,\x00", b"v1a,AAAA", b"v1;AAAA", b"v1 AAAA", b" ".join([b"v1,AAAA"] * 1000),
    b"v1," + b"A" * 60_000, "v1,비밀".encode(), b"v1,AAAA\t", b"v1,%41%41",
]  # fmt: skip
OTHERS: dict[bytes, list[bytes]] = {
    b"webhook-signature": SIGNATURES,
    b"webhook-id": [b"", b".", b"\xff", b"x" * 5000, b"msg_1,msg_1", b"\x00", b"a b"],
    b"webhook-timestamp": [b"", b"NaN", b"1e5", b"-1", b"0" * 5000, b"9" * 12, b"1.5", "²".encode(), b"\xb2"],
    b"content-type": [b"", b"text/plain", b"application/json; charset=\xff", b"application/json;;", b"\x00"],
    b"content-encoding": [b"gzip", b"br", b"", b"identity", b"gzip, gzip", b"\xff"],
    b"content-length": [b"-1", b"x", b"9" * 5000, b"99999999", b"0", b"\xb2"],
    b"authorization": [b"", b"Bearer", b"Bearer \xff", b"Basic AAAA", b"x" * 5000],
    b"transfer-encoding": [b"chunked", b"x"],
    b"expect": [b"100-continue", b"x"],
}  # fmt: skip
METHODS = ["GET", "PUT", "HEAD", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW", ""]


def strange_requests(name: str, count: int, chance: random.Random) -> Iterator[Message]:
    """Every second one is signed, or carries the token."""
    for number in range(count):
        message = replace(genuine(name), body=strange_body(name, chance))
        if chance.random() < 0.05:
            message = replace(message, method=chance.choice(METHODS))
        if chance.random() < 0.02:
            message = replace(message, path=message.path + "".join(chance.choices("/%.a\\ż?#\x00", k=5)))
        if name == "bright-data" and chance.random() < 0.3:
            message = replace(message, headers=message.headers | {"content-encoding": b"gzip"})
            message = replace(message, body=strange_gzip(message.body, chance))
        if number % 2:
            message = signed(message, webhook_id=f"msg_{number}")
        else:
            message = replace(
                message, headers={key: value for key, value in message.headers.items() if key != "authorization"}
            )
        if not number % 2 or chance.random() < 0.2:
            message = replace(message, more_headers=tuple(strange_header(chance) for _ in range(chance.randrange(4))))
        if chance.random() < 0.2:
            message = replace(message, parts=chance.randrange(1, 9), hangs_up=chance.random() < 0.2)
        yield message


def strange_header(chance: random.Random) -> tuple[bytes, bytes]:
    name = b"webhook-signature" if chance.random() < 0.4 else chance.choice(list(OTHERS))
    if chance.random() < 0.1:
        return name, chance.randbytes(chance.randrange(40))
    return name, chance.choice(OTHERS[name])


def strange_body(name: str, chance: random.Random) -> bytes:
    kind = chance.random()
    whole = genuine(name).body
    if kind < 0.45:  # as agreed, but for a few values
        content = json.loads(whole)
        for _ in range(chance.randrange(3)):
            change(content, chance)
        return json.dumps(content).encode()
    if kind < 0.65:  # bytes changed
        body = bytearray(whole)
        for _ in range(chance.randrange(1, 4)):
            body[chance.randrange(len(body))] = chance.randrange(256)
        return bytes(body)
    if kind < 0.9:
        return b"".join(chance.choices(PIECES, k=chance.randrange(40)))
    if kind < 0.95:
        return chance.choice([b"[", b'{"a":', b'[{"a":', whole[:-1] + b","]) * chance.randrange(1, 3000)
    return chance.randbytes(chance.choice([0, 1, 100, MAX_BODY, MAX_BODY + 1]))


def change(content: Any, chance: random.Random) -> None:
    """Put one strange value somewhere inside, or take something away."""
    place = content
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        if not keys:
            return
        key = chance.choice(keys)
        if isinstance(place[key], (dict, list)) and chance.random() < 0.8:
            place = place[key]
            continue
        if chance.random() < 0.2:
            del place[key]
        else:
            place[key] = copy.deepcopy(chance.choice(VALUES))
        return


def strange_gzip(body: bytes, chance: random.Random) -> bytes:
    packed = bytearray(gzip.compress(body, 1))
    kind = chance.random()
    if kind < 0.4:
        return bytes(packed)
    if kind < 0.6:
        return bytes(packed[: chance.randrange(len(packed))])
    if kind < 0.8:
        packed[chance.randrange(len(packed))] = chance.randrange(256)
        return bytes(packed)
    return chance.choice([bytes(packed) * 3, bytes(packed) + b"x", gzip.compress(bytes(300_000), 1), body])
