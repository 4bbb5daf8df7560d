"""The wire: Phoenix messages as objects (vsn 1.0.0) or arrays (vsn 2.0.0), and the binary broadcast frames."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Never

USER_BROADCAST_PUSH = 3
USER_BROADCAST = 4
BINARY_ENCODING = 0
JSON_ENCODING = 1
PUSH_HEADER = 7  # kind, five lengths, encoding
SHORT = 255  # the longest string of a binary frame: its length is one byte

Frame = str | bytes


class ProtocolError(Exception):
    """A frame that is not of this protocol."""


@dataclass(frozen=True, slots=True)
class Broadcast:
    """One broadcast on its way to every receiver.

    `payload` is JSON text, or bytes that only vsn 2.0.0 can carry. `body` is the whole message as JSON text
    (none when `payload` is bytes); `framed` says that it came in a binary frame and leaves in one.
    """

    event: str
    payload: str | bytes
    body: str | None
    meta: dict[str, Any] | None = None
    framed: bool = False

    @classmethod
    def of(
        cls, event: str, payload: str | bytes, *, meta: dict[str, Any] | None = None, framed: bool = False
    ) -> Broadcast:
        body = None
        if isinstance(payload, str):
            with_meta = f',"meta":{dump(meta)}' if meta else ""
            body = f'{{"type":"broadcast","event":{dump(event)},"payload":{payload}{with_meta}}}'
        return cls(event=event, payload=payload, body=body, meta=meta, framed=framed)

    @property
    def size(self) -> int:
        return len(self.payload if isinstance(self.payload, bytes) else self.payload.encode())

    def frame(self, topic: str, *, vsn: int) -> Frame | None:
        """The frame for a receiver of that version; none when it cannot be told."""
        if vsn == 2 and (self.body is None or self.framed):
            framed = self._binary_frame(topic)
            if framed is not None:
                return framed
        return None if self.body is None else encode_raw(topic, "broadcast", self.body, vsn=vsn)

    def _binary_frame(self, topic: str) -> bytes | None:
        meta = dump(self.meta).encode() if self.meta else b""
        strings = (topic.encode(), self.event.encode(), meta)
        if any(len(part) > SHORT for part in strings):
            return None
        binary = isinstance(self.payload, bytes)
        payload = self.payload if isinstance(self.payload, bytes) else self.payload.encode()
        encoding = BINARY_ENCODING if binary else JSON_ENCODING
        return bytes([USER_BROADCAST, *map(len, strings), encoding]) + b"".join(strings) + payload


@dataclass(frozen=True, slots=True)
class Message:
    """One message from a client; `pushed` is the content of a binary broadcast frame."""

    topic: str
    event: str
    payload: dict[str, Any]
    ref: str | None
    join_ref: str | None
    pushed: Broadcast | None = None


def decode(frame: Frame, *, vsn: int) -> Message:
    """Read a client's frame; raises ProtocolError, and nothing else, whatever the bytes are."""
    if isinstance(frame, bytes):
        return decode_push(frame)
    content = load(frame)
    if vsn == 2:
        if not isinstance(content, list) or len(content) != 5:
            raise ProtocolError("a message is an array of five")
        join_ref, ref, topic, event, payload = content
    else:
        if not isinstance(content, dict):
            raise ProtocolError("a message is an object")
        join_ref, ref = content.get("join_ref"), content.get("ref")
        topic, event, payload = content.get("topic"), content.get("event"), content.get("payload")
    if not isinstance(topic, str) or not isinstance(event, str):
        raise ProtocolError("topic and event are strings")
    return Message(
        topic=topic,
        event=event,
        payload=payload if isinstance(payload, dict) else {},
        ref=as_ref(ref),
        join_ref=as_ref(join_ref),
    )


def decode_push(frame: bytes) -> Message:
    """Read a binary broadcast push: kind 3, lengths, encoding, strings, payload."""
    if len(frame) < PUSH_HEADER or frame[0] != USER_BROADCAST_PUSH:
        raise ProtocolError("not a broadcast push")
    lengths, encoding = frame[1:6], frame[6]
    start, parts = PUSH_HEADER, []
    for length in lengths:
        parts.append(frame[start : start + length])
        start += length
    if start > len(frame) or encoding not in (BINARY_ENCODING, JSON_ENCODING):
        raise ProtocolError("a broadcast push that ends too early or has no known encoding")
    try:
        join_ref, ref, topic, event, _ = (part.decode() for part in parts)
        payload: str | bytes = frame[start:]
        if encoding == JSON_ENCODING:
            payload = frame[start:].decode()
            load(payload)
    except UnicodeDecodeError:
        raise ProtocolError("a broadcast push that is not UTF-8") from None
    return Message(
        topic=topic,
        event="broadcast",
        payload={},
        ref=ref or None,
        join_ref=join_ref or None,
        pushed=Broadcast.of(event, payload, framed=True),
    )


def encode(
    topic: str, event: str, payload: Any, *, vsn: int, ref: str | None = None, join_ref: str | None = None
) -> str:
    return encode_raw(topic, event, dump(payload), vsn=vsn, ref=ref, join_ref=join_ref)


def encode_raw(
    topic: str, event: str, payload: str, *, vsn: int, ref: str | None = None, join_ref: str | None = None
) -> str:
    """As encode, for a payload that is JSON text already. `ref` is always there: a client insists on its null."""
    if vsn == 2:
        return f"[{dump(join_ref)},{dump(ref)},{dump(topic)},{dump(event)},{payload}]"
    return f'{{"topic":{dump(topic)},"event":{dump(event)},"payload":{payload},"ref":{dump(ref)}}}'


def dump(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def load(text: str | bytes) -> Any:
    """Parse JSON from outside; raises ProtocolError for everything that JSON or Unicode does not allow."""
    try:
        return json.loads(text, parse_constant=refuse_constant)
    except (ValueError, RecursionError):
        raise ProtocolError("not JSON") from None


def refuse_constant(name: str) -> Never:
    raise ValueError(name)


def as_ref(value: object) -> str | None:
    return None if value is None else str(value)
