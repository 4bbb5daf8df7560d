"""A quota ledger in memory, as strict as the database's."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

RESETS_AT = datetime(2026, 7, 11, 7, tzinfo=UTC)


@dataclass(frozen=True)
class FakeQuota:
    granted: bool
    bucket: str
    used: int
    daily_limit: int
    resets_at: datetime = RESETS_AT


class FakeLedger:
    """Counts up to its limits; `taken` holds every request for units, granted or not."""

    def __init__(self, *, searches: int = 100, units: int = 10_000) -> None:
        self.limits = {"youtube_search": searches, "youtube_units": units}
        self.used = dict.fromkeys(self.limits, 0)
        self.taken: list[str] = []

    async def take_quota(self, bucket: str, *, units: int) -> FakeQuota:
        self.taken.append(bucket)
        granted = self.used[bucket] + units <= self.limits[bucket]
        if granted:
            self.used[bucket] += units
        return FakeQuota(granted, bucket, self.used[bucket], self.limits[bucket])

    async def close_quota(self, bucket: str) -> FakeQuota:
        self.used[bucket] = self.limits[bucket]
        return FakeQuota(False, bucket, self.used[bucket], self.limits[bucket])
