"""A mock of Bright Data's API, over real HTTP: the only part of their service that these tests make up."""

from .server import MockBrightData, Snapshot, scraped_row, serving

__all__ = ["MockBrightData", "Snapshot", "scraped_row", "serving"]
