"""Better vectors for videos than those that are hashed from their words. For the service."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

from .calls import Caller, Row

__all__ = ["RejectedEmbedding", "StoredEmbeddings", "VectorsApi", "VideoEmbedding"]


class VideoEmbedding(TypedDict):
    """The vector of one video: 100 finite numbers that are not all 0, of any length."""

    video_id: str
    embedding: Sequence[float]


class RejectedEmbedding(Row):
    """A row that was not stored: its place in the batch from 0, and why, by code and in words."""

    index: int
    code: str
    message: str


class StoredEmbeddings(Row):
    """How many came and were stored, and which were not."""

    received: int
    stored: int
    rejected: list[RejectedEmbedding]


class VectorsApi(Caller):
    """The part of `ShortsApi` that brings vectors; those of different versions are never compared."""

    async def set_video_embedding(self, video_id: str, *, embedding: Sequence[float], version: str) -> StoredEmbeddings:
        """Replace the vector of one video; `version` names the model, in 1 to 50 letters, digits, dots, _ or -.

        Raises NotFoundError (PT404) for an unknown video, InvalidRequestError (PT400) for a vector that is not 100
        numbers or is all zeros, and for a version that is none.
        """
        arguments = {"video_id": video_id, "embedding": list(embedding), "version": version}
        return await self._call("set_video_embedding", arguments, answer=StoredEmbeddings)

    async def set_video_embeddings(self, embeddings: Sequence[VideoEmbedding], *, version: str) -> StoredEmbeddings:
        """Replace the vectors of at most 5,000 videos; good rows are stored, bad ones come back in `rejected`.

        Raises InvalidRequestError (PT413) for more, PT400 for a version that is none.
        """
        arguments = {"embeddings": list(embeddings), "version": version}
        return await self._call("set_video_embeddings", arguments, answer=StoredEmbeddings)
