"""The receiver of the bench: believes signed posts only, and remembers when it had each event first.

`python -m scripts.bench.delivery_receiver SECRET` prints the port that it took; GET /seen?all answers
{"received": n, "bad": n, "repeated": n, "at": {event: Unix time}}.
"""

from __future__ import annotations

import base64
import hmac
import json
import socket
import sys
import time

from aiohttp import web


def application(secret: str) -> web.Application:
    key = base64.b64decode(secret.removeprefix("whsec_"))
    at: dict[str, float] = {}  # Unix seconds
    counts = {"bad": 0, "repeated": 0}

    async def take(request: web.Request) -> web.Response:
        body = await request.read()
        signed = f"{request.headers['webhook-id']}.{request.headers['webhook-timestamp']}.".encode() + body
        expected = "v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode()
        if not hmac.compare_digest(expected, request.headers["webhook-signature"]):
            counts["bad"] += 1
            return web.Response(status=401)
        event = str(json.loads(body)["data"]["event"])
        counts["repeated"] += event in at
        at.setdefault(event, time.time())
        return web.Response()

    async def seen(request: web.Request) -> web.Response:
        told = {**counts, "received": len(at), "at": at if "all" in request.query else {}}
        return web.json_response(told)

    async def forget(request: web.Request) -> web.Response:
        at.clear()
        return web.json_response({})

    app = web.Application()
    app.router.add_post("/", take)
    app.router.add_get("/seen", seen)
    app.router.add_delete("/seen", forget)
    return app


if __name__ == "__main__":
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    web.run_app(application(sys.argv[1]), sock=listener, access_log=None, print=None)
