"""The score by which the room ranks tomorrow's surges, asked for counts of one's own. For the service."""

from __future__ import annotations

from collections.abc import Sequence

from .calls import Caller

__all__ = ["SurgesApi"]


class SurgesApi(Caller):
    """The part of `ShortsApi` that ranks what may surge tomorrow."""

    async def backtest_surges(
        self, *, today: Sequence[float], usual: Sequence[float], fresh: Sequence[float]
    ) -> list[float]:
        """A score for each of at most 100,000 keywords, the higher the likelier a surge; writes nothing.

        `today` are its mentions, `usual` the mean of the last seven days with today, `fresh` how many of today's
        videos are new. Raises InvalidRequestError (PT400) for other than three arrays of one length with counts.
        """
        arguments = {"today": list(today), "usual": list(usual), "fresh": list(fresh)}
        return await self._call("backtest_surges", arguments, answer=list[float])
