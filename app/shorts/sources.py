"""What the clients of outside sources have in common."""

from __future__ import annotations

import httpx

__all__ = ["is_packed_once"]


def is_packed_once(headers: httpx.Headers) -> bool:
    """Whether a body is plain or gzip: of a gzip in a gzip each piece that arrives could fill the memory."""
    return headers.get("content-encoding", "").strip().lower() in ("", "identity", "gzip")
