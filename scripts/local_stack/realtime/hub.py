"""Topics and who is on them. A private topic and a public one of the same name never meet."""

from __future__ import annotations

from typing import Any, Protocol

from .presence import Entries, Presence
from .protocol import Broadcast, Frame, encode

Topic = tuple[str, bool]  # name, private


class Member(Protocol):
    """A joined channel, as the hub sees it."""

    topic: str
    name: str
    private: bool
    vsn: int
    replayed: set[str]

    @property
    def reads_broadcast(self) -> bool: ...

    @property
    def reads_presence(self) -> bool: ...

    def send_frame(self, frame: Frame) -> None: ...


class Hub:
    """Hands broadcasts and presence to the members of a topic."""

    def __init__(self) -> None:
        self._members: dict[Topic, dict[Member, None]] = {}
        self._presences: dict[Topic, Presence] = {}

    def join(self, member: Member) -> None:
        self._members.setdefault((member.name, member.private), {})[member] = None

    def leave(self, member: Member, *, key: str) -> None:
        topic = (member.name, member.private)
        members = self._members.get(topic, {})
        members.pop(member, None)
        self.untrack(member, key)
        if not members:
            self._members.pop(topic, None)
            self._presences.pop(topic, None)

    def broadcast(self, name: str, message: Broadcast, *, private: bool, sender: Member | None = None) -> None:
        """To everyone on the topic who may read broadcasts, except the sender."""
        frames: dict[int, Frame | None] = {}
        for member in list(self._members.get((name, private), ())):
            if member is sender or not member.reads_broadcast:
                continue
            if message.meta and message.meta.get("id") in member.replayed:
                continue
            if member.vsn not in frames:
                frames[member.vsn] = message.frame(member.topic, vsn=member.vsn)
            frame = frames[member.vsn]
            if frame is not None:
                member.send_frame(frame)

    def track(self, member: Member, key: str, payload: dict[str, Any]) -> None:
        topic = (member.name, member.private)
        self._send_diff(topic, self._presences.setdefault(topic, Presence()).track(member, key, payload))

    def untrack(self, member: Member, key: str) -> None:
        topic = (member.name, member.private)
        presence = self._presences.get(topic)
        if presence is not None:
            self._send_diff(topic, presence.untrack(member, key))

    def presence_state(self, member: Member) -> dict[str, Any]:
        presence = self._presences.get((member.name, member.private))
        return {} if presence is None else presence.state()

    def _send_diff(self, topic: Topic, diff: Entries | None) -> None:
        if diff is None:
            return
        for member in list(self._members.get(topic, ())):
            if member.reads_presence:
                member.send_frame(encode(member.topic, "presence_diff", diff, vsn=member.vsn))
