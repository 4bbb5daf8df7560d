"""What is known of channels. For the service."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NotRequired, TypedDict

from .batches import Ingested
from .calls import Caller

__all__ = ["ChannelInput", "ChannelsApi"]


class ChannelInput(TypedDict):
    """One channel for `ingest_channels`; times are ISO 8601, what is left out keeps what is known."""

    channel_id: str
    title: str
    collected_at: str
    subscriber_count: NotRequired[int]
    video_count: NotRequired[int]
    total_view_count: NotRequired[int]
    content_language: NotRequired[str]
    thumbnail_url: NotRequired[str]
    published_at: NotRequired[str]


class ChannelsApi(Caller):
    """The part of `ShortsApi` that is about channels."""

    async def ingest_channels(self, channels: Sequence[ChannelInput]) -> Ingested:
        """Store at most 5,000 channels; repeating a batch changes nothing, older news never overwrites newer.

        Bad rows come back in `rejected`. Raises InvalidRequestError (PT413) for more than 5,000.
        """
        return await self._call("ingest_channels", {"channels": list(channels)}, answer=Ingested)
