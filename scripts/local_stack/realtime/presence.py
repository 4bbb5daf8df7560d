"""Who is present on each topic: Phoenix's state and diffs."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Any

Meta = dict[str, Any]
Entries = dict[str, dict[str, dict[str, list[Meta]]]]


@dataclass
class Presence:
    """The presences of one topic: key → tracker → its meta."""

    tracked: dict[str, dict[object, Meta]] = field(default_factory=dict)

    def track(self, tracker: object, key: str, payload: Meta) -> Entries | None:
        """Join, or change what was tracked; returns the diff to send, none when nothing changed."""
        trackers = self.tracked.setdefault(key, {})
        before = trackers.get(tracker)
        if before is not None and strip(before) == payload:
            return None
        after: Meta = {**payload, "phx_ref": secrets.token_urlsafe(9)}
        if before is None:
            trackers[tracker] = after
            return diff(key, joins=after)
        trackers[tracker] = after = {**after, "phx_ref_prev": before["phx_ref"]}
        return diff(key, joins=after, leaves=before)

    def untrack(self, tracker: object, key: str) -> Entries | None:
        trackers = self.tracked.get(key, {})
        before = trackers.pop(tracker, None)
        if not trackers:
            self.tracked.pop(key, None)
        return None if before is None else diff(key, leaves=before)

    def state(self) -> dict[str, Any]:
        return {key: {"metas": list(trackers.values())} for key, trackers in self.tracked.items()}


def diff(key: str, *, joins: Meta | None = None, leaves: Meta | None = None) -> Entries:
    return {
        "joins": {} if joins is None else {key: {"metas": [joins]}},
        "leaves": {} if leaves is None else {key: {"metas": [leaves]}},
    }


def strip(meta: Meta) -> Meta:
    return {name: value for name, value in meta.items() if name not in ("phx_ref", "phx_ref_prev")}
