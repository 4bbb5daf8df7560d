"""Listening on loopback: the one sentence that every server of the stack says when its port is taken."""

from __future__ import annotations

import errno

from aiohttp import web

from .errors import StackError


async def listen(runner: web.AppRunner, port: int) -> None:
    """Serve `runner` on 127.0.0.1:`port`; raises StackError when another program listens there."""
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        raise StackError(
            f"Port {port} on 127.0.0.1 is taken.",
            next_step="End the program that holds it, or give this stack other ports with --port-base.",
        ) from None
