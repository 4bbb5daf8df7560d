"""Forgeries: what somebody can send who has seen genuine requests, and knows secrets that are not in force."""

from __future__ import annotations

import base64
import hashlib
import hmac
import random
from collections.abc import Callable
from dataclasses import replace

from .forgeries_target import NOW, RETIRED, SECRET, STRANGER, TOKEN, Message, genuine, signature, signed

Forge = Callable[[str, random.Random], Message]


def seen(name: str, chance: random.Random) -> Message:
    """A genuine request that somebody has recorded."""
    return signed(genuine(name), at=NOW - chance.randrange(300), webhook_id=f"msg_{chance.getrandbits(64):016x}")


def flipped(value: bytes, chance: random.Random) -> bytes:
    """One bit is another."""
    bit = chance.randrange(len(value) * 8)
    changed = bytearray(value)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def with_header(message: Message, name: str, value: bytes) -> Message:
    return replace(message, headers=message.headers | {name: value})


def bit_of(name: str) -> Forge:
    def forge(handler: str, chance: random.Random) -> Message:
        message = seen(handler, chance)
        return with_header(message, name, flipped(message.headers[name], chance))

    return forge


def body_bit(handler: str, chance: random.Random) -> Message:
    message = seen(handler, chance)
    return replace(message, body=flipped(message.body, chance))


def body_longer_or_shorter(handler: str, chance: random.Random) -> Message:
    message = seen(handler, chance)
    cut = chance.randrange(len(message.body))
    return replace(message, body=chance.choice([message.body[:cut], message.body + b" ", message.body * 2]))


def of_another_message(name: str) -> Forge:
    """One header of another genuine message."""

    def forge(handler: str, chance: random.Random) -> Message:
        message, other = seen(handler, chance), seen(handler, chance)
        if other.headers[name] == message.headers[name]:
            other = signed(genuine(handler), at=NOW + 1, webhook_id="msg_other")
        return with_header(message, name, other.headers[name])

    return forge


def later_time(handler: str, chance: random.Random) -> Message:
    """An old message under a time that is in order."""
    message = signed(genuine(handler), at=NOW - 301 - chance.randrange(10**6), webhook_id="msg_old")
    return with_header(message, "webhook-timestamp", str(NOW - chance.randrange(300)).encode())


def stale(handler: str, chance: random.Random) -> Message:
    """A whole genuine message, too late or too early."""
    return signed(genuine(handler), at=NOW + chance.choice([-1, 1]) * (301 + chance.randrange(10**6)))


def of_secret(secret: str) -> Forge:
    def forge(handler: str, chance: random.Random) -> Message:
        return signed(genuine(handler), secrets=[secret], webhook_id=f"msg_{chance.getrandbits(64):016x}")

    return forge


def other_version(handler: str, chance: random.Random) -> Message:
    message = seen(handler, chance)
    version = chance.choice([b"v0", b"v2", b"V1", b"v1a", b"", b"v1=", b"v01", b"v1 "])
    return with_header(message, "webhook-signature", version + message.headers["webhook-signature"][2:])


def other_digest(handler: str, chance: random.Random) -> Message:
    message = seen(handler, chance)
    name, time = message.headers["webhook-id"], message.headers["webhook-timestamp"]
    digest = chance.choice(["sha1", "md5", "sha512", "sha224"])
    return with_header(message, "webhook-signature", signature(SECRET, name, time, message.body, digest))


def other_key(handler: str, chance: random.Random) -> Message:
    """The secret is known wrongly: empty, or the text instead of its bytes of another secret."""
    message = seen(handler, chance)
    key = chance.choice([b"", b"\x00" * 32, STRANGER.encode(), base64.b64decode(STRANGER.removeprefix("whsec_"))])
    content = message.headers["webhook-id"] + b"." + message.headers["webhook-timestamp"] + b"." + message.body
    made = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest())
    return with_header(message, "webhook-signature", b"v1," + made)


def signature_cut(handler: str, chance: random.Random) -> Message:
    message = seen(handler, chance)
    given = message.headers["webhook-signature"]
    cut = given[: chance.randrange(len(given))]
    return with_header(
        message, "webhook-signature", chance.choice([cut, given + b"=", given.lower(), given.hex().encode()])
    )


def many_signatures(handler: str, chance: random.Random) -> Message:
    message = seen(handler, chance)
    several = [b"v1," + base64.b64encode(chance.randbytes(32)) for _ in range(chance.choice([2, 10, 100]))]
    return with_header(message, "webhook-signature", b" ".join(several))


def unsigned(handler: str, chance: random.Random) -> Message:
    message = seen(handler, chance)
    name = chance.choice(["webhook-id", "webhook-timestamp", "webhook-signature"])
    if chance.random() < 0.5:
        return with_header(message, name, b"")
    return replace(message, headers={key: value for key, value in message.headers.items() if key != name})


def cut_elsewhere(handler: str, chance: random.Random) -> Message:
    """The signed text `id.time.body` is the same, and is cut into three in another way."""
    plain = genuine(handler)
    inner = str(NOW - chance.randrange(300)).encode()
    whole = signed(replace(plain, body=inner + b"." + plain.body), webhook_id="msg_cut")
    moved = {"webhook-id": b"msg_cut." + whole.headers["webhook-timestamp"], "webhook-timestamp": inner}
    return replace(whole, headers=whole.headers | moved, body=plain.body)


def time_written_otherwise(handler: str, chance: random.Random) -> Message:
    message = seen(handler, chance)
    time = message.headers["webhook-timestamp"]
    forms = [b"+" + time, b"0" + time, time + b".0", time + b"e0", time[:-3] + b"_" + time[-3:], b"0x6ab13b80"]
    return with_header(message, "webhook-timestamp", chance.choice([*forms, "١٧٩٠٠٠٠٠٠٠".encode(), b" " + time]))


def wrong_token(handler: str, chance: random.Random) -> Message:
    message = genuine(handler)
    token = TOKEN.encode()
    forms = [
        flipped(token, chance),
        token[: chance.randrange(len(token))],
        token + bytes([chance.randrange(33, 127)]),
        token.upper(),
        b"Basic " + base64.b64encode(token),
        b"Bearer  " + token,
        b"Bearer " + flipped(token, chance),
        b"",
    ]
    return with_header(message, "authorization", chance.choice(forms))


FORGERIES: dict[str, Forge] = {
    "a bit of the body": body_bit,
    "a bit of the id": bit_of("webhook-id"),
    "a bit of the time": bit_of("webhook-timestamp"),
    "a bit of the signature": bit_of("webhook-signature"),
    "a body longer or shorter": body_longer_or_shorter,
    "the id of another message": of_another_message("webhook-id"),
    "the time of another message": of_another_message("webhook-timestamp"),
    "the signature of another message": of_another_message("webhook-signature"),
    "an old message with a new time": later_time,
    "a genuine message more than 300 s off": stale,
    "a stranger's secret": of_secret(STRANGER),
    "a retired secret": of_secret(RETIRED),
    "another version": other_version,
    "another digest": other_digest,
    "another key": other_key,
    "a signature cut or in another form": signature_cut,
    "many signatures": many_signatures,
    "a header missing or empty": unsigned,
    "the same text cut elsewhere": cut_elsewhere,
    "the time in another form": time_written_otherwise,
}
