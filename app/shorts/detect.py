"""Detection: a run over the newest hour, and the detector of bursts tried on a series of one's own."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from .calls import Caller, Row

__all__ = ["BurstBacktest", "DetectApi", "Detection"]


class Detection(Row):
    """What one run of detection did: keywords tested, trends found, webhook events written.

    `cut` keywords of a flood of new ones got no state; they are not taken for new later.
    """

    at: datetime
    region: str | None
    tested: int
    found: int
    notified: int
    cut: int = 0


class BurstBacktest(Row):
    """Per bin z (deviations above the usual count; None where nobody looked), and the places of the alarms, from 0."""

    z: list[float | None]
    alarms: list[int]


class DetectApi(Caller):
    """The part of `ShortsApi` that detects; needs a client with the secret key."""

    async def detect_trends(self, at: datetime | None = None, *, region: str | None = None) -> Detection:
        """Test the newest hour up to `at` (default: the database's now) in `region` (default: everywhere)."""
        arguments = {"at": at.isoformat() if at else None, "region": region}
        given = {name: value for name, value in arguments.items() if value is not None}
        return await self._call("detect_trends", given, answer=Detection)

    async def backtest_bursts(
        self, counts: Sequence[float | None], *, bin_seconds: int, first_at: datetime
    ) -> BurstBacktest:
        """How the detector would have judged at most 100,000 bins from `first_at` on, without looking ahead."""
        arguments = {"counts": list(counts), "bin_seconds": bin_seconds, "first_at": first_at.isoformat()}
        return await self._call("backtest_bursts", arguments, answer=BurstBacktest)
