"""What private.next_state and its kin compute, in plain Python: the states that signals lead to."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone

SEOUL = timezone(timedelta(hours=9))
PROFILE_WEIGHT = 0.25  # a day
SPAN_BINS = 14 * 24


def single(value: float) -> float:
    """As `real` keeps it."""
    return float(struct.unpack("f", struct.pack("f", value))[0])


@dataclass(frozen=True)
class State:
    """Before anything was seen: no hour of the day is known."""

    profile: tuple[float | None, ...] = field(default=(None,) * 24)
    level: float = 0.0
    variance: float = 0.0
    bins: int = 0

    def seen(self) -> list[float]:
        return [value for value in self.profile if value is not None]

    def base(self, slot: int) -> float:
        known = self.profile[slot]
        if known is not None:
            return known
        seen = self.seen()
        return sum(seen) / len(seen) if seen else 0.0

    def weight(self) -> float:
        return 2 / (SPAN_BINS * max(len(self.seen()), 1) / 24 + 1)

    def after(self, slot: int, count: float) -> State:
        base = count if self.bins == 0 else self.base(slot)
        residual = count - base - self.level
        clipped = min(count, base + 3 * math.sqrt(max(self.variance, base + self.level, 0.3)))
        weight = max(self.weight(), 1 / (self.bins + 1))
        known = self.profile[slot]
        profile = list(self.profile)
        profile[slot] = single(clipped if known is None else known + PROFILE_WEIGHT * (clipped - known))
        return State(
            tuple(profile),
            self.level + weight * residual,
            (1 - weight) * (self.variance + weight * residual * residual),
            self.bins + 1,
        )

    def after_silence(self, bins: int) -> State:
        seen = self.seen()
        weight = self.weight()
        warm = max(0, min(bins, math.floor(1 / weight) - self.bins))
        kept = self.bins / max(self.bins + warm, 1) * (1 - weight) ** (bins - warm)
        silence = -sum(seen) / len(seen) if seen else 0.0
        faded = (1 - PROFILE_WEIGHT) ** (bins / max(len(seen), 1))
        return State(
            tuple(None if value is None else single(value * faded) for value in self.profile),
            self.level * kept + silence * (1 - kept),
            kept * (self.variance + (1 - kept) * (self.level - silence) ** 2),
            self.bins + bins,
        )


def slot_of(bucket: datetime) -> int:
    return bucket.astimezone(SEOUL).hour


def replayed(counts: Mapping[datetime, int], observed: Sequence[datetime]) -> State | None:
    """The state after `observed` (in the order of time), of a keyword that was seen so often in some of these hours."""
    state: State | None = None
    last = -1
    for place, bucket in enumerate(observed):
        if not counts.get(bucket):
            continue
        if state is None:
            slots = {slot_of(earlier) for earlier in observed[:place]}
            profile = tuple(0.0 if slot in slots else None for slot in range(24))
            state = replace(State(), profile=profile, bins=place)
        elif place - last > 1:
            state = state.after_silence(place - last - 1)
        state = state.after(slot_of(bucket), counts[bucket])
        last = place
    return state
