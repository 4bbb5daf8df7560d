"""A mock of the YouTube Data API v3 for the tests: real HTTP, answers in the documented form, made-up data."""

from .server import Fault, YouTubeServer

__all__ = ["Fault", "YouTubeServer"]
