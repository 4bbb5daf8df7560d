from __future__ import annotations

from .test_activity import Backend


async def test_scores_are_asked_for_by_their_names() -> None:
    backend = Backend(backtest_surges=[1.5, -2.0])
    scores = await backend.use(lambda api: api.backtest_surges(today=(2, 0), usual=(1, 0.5), fresh=(2, 0)))
    assert backend.asked == [("backtest_surges", {"today": [2, 0], "usual": [1, 0.5], "fresh": [2, 0]})]
    assert scores == [1.5, -2.0]
