"""What is sent to bring vectors, and what comes back."""

from __future__ import annotations

from typing import Any

import pytest

from app.errors import InvalidRequestError, NotFoundError
from app.shorts.vectors import StoredEmbeddings

from .test_activity import Backend, refused

NUMBERS = [0.1] * 100
STORED: dict[str, Any] = {"received": 1, "stored": 1, "rejected": []}


async def test_a_vector_is_sent_with_its_version() -> None:
    backend = Backend(set_video_embedding=STORED)
    stored = await backend.use(lambda api: api.set_video_embedding("abc", embedding=tuple(NUMBERS), version="my-1"))
    assert backend.asked == [("set_video_embedding", {"video_id": "abc", "embedding": NUMBERS, "version": "my-1"})]
    assert stored == StoredEmbeddings.model_validate(STORED)


async def test_of_a_batch_what_is_bad_is_named() -> None:
    rejected = {"index": 1, "code": "ON012", "message": "there is no such video"}
    backend = Backend(set_video_embeddings={"received": 2, "stored": 1, "rejected": [rejected]})
    batch: list[Any] = [{"video_id": name, "embedding": NUMBERS} for name in ("abc", "none")]
    stored = await backend.use(lambda api: api.set_video_embeddings(batch, version="my-1"))
    assert backend.asked == [("set_video_embeddings", {"embeddings": batch, "version": "my-1"})]
    assert [(row.index, row.code) for row in stored.rejected] == [(1, "ON012")]


@pytest.mark.parametrize(
    ("status", "code", "error"), [(404, "PT404", NotFoundError), (400, "PT400", InvalidRequestError)]
)
async def test_a_refusal_is_named(status: int, code: str, error: type[Exception]) -> None:
    backend = Backend(set_video_embedding=refused(status, code))
    with pytest.raises(error):
        await backend.use(lambda api: api.set_video_embedding("abc", embedding=[], version="my-1"))
