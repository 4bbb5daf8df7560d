"""A quota ledger in memory, as strict as the database's."""

from __future__ import annotations

from datetime import UTC, datetime

from app.shorts.freshness import QuotaBucket, TakenQuota

RESETS_AT = datetime(2026, 7, 11, 7, tzinfo=UTC)


class FakeLedger:
    """Counts up to its limits; `taken` holds every request for units, granted or not."""

    def __init__(self, *, searches: int = 100, units: int = 10_000) -> None:
        self.limits = {"youtube_search": searches, "youtube_units": units}
        self.used = dict.fromkeys(self.limits, 0)
        self.taken: list[str] = []

    async def take_quota(self, bucket: QuotaBucket, units: int) -> TakenQuota:
        self.taken.append(bucket)
        granted = self.used[bucket] + units <= self.limits[bucket]
        if granted:
            self.used[bucket] += units
        return self._state(bucket, granted=granted)

    async def close_quota(self, bucket: QuotaBucket) -> TakenQuota:
        self.used[bucket] = self.limits[bucket]
        return self._state(bucket, granted=False)

    def _state(self, bucket: str, *, granted: bool) -> TakenQuota:
        return TakenQuota(
            granted=granted,
            bucket=bucket,
            used=self.used[bucket],
            daily_limit=self.limits[bucket],
            resets_at=RESETS_AT,
        )
