from __future__ import annotations

from app.shorts.regions import REGIONS


def test_every_region_is_two_capital_letters() -> None:
    assert len(REGIONS) == 249
    assert all(len(region) == 2 and region.isascii() and region.isupper() for region in REGIONS)
    assert {"BR", "GB", "ID", "IN", "JP", "KR", "US", "VN"} <= REGIONS
