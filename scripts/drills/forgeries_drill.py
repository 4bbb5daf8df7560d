"""Attacks every webhook handler: forgeries, the limits of time, a rotation under load, strange requests.

Nothing of it may be believed, nothing genuine may be refused, and nothing may break a handler. Exits with 1 when
something does. `--break` plants a fault, which must make it exit with 1: a drill that cannot fail proves nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import logging
import random
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from types import SimpleNamespace
from unittest.mock import patch

from app.shorts.keywords import keywords_of
from functions import told, trend_events

from .forgeries_made import FORGERIES, wrong_token
from .forgeries_strange import strange_requests
from .forgeries_target import HANDLERS, NOW, RETIRED, SECRET, SIGNED, Message, Target, genuine, signed

OFFSETS = (
    -86_400,
    -301,
    -300.001,
    -300,
    -299,
    0,
    299,
    300,
    300.001,
    301,
    86_400,
)  # seconds between clock and signature
BREAKS = ("signature", "tolerance", "rotation", "crash")
AT_ONCE = 20


@dataclass
class Result:
    """One part of the drill: how many were sent, and what went wrong, with the first few by name."""

    name: str
    sent: int = 0
    wrong: int = 0
    examples: list[str] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    seconds: float = 0.0

    def note(self, status: int, problem: str | None) -> None:
        self.sent += 1
        self.statuses[status] += 1
        if problem:
            self.wrong += 1
            if len(self.examples) < 5:
                self.examples.append(problem)


async def forgeries(count: int, chance: random.Random) -> Result:
    """Forged requests at every handler; now and then a genuine one, so that refusing all is no success."""
    result = Result("forgeries: believed, or genuine and refused")
    target = Target()
    kinds = [(handler, kind, forge) for kind, forge in FORGERIES.items() for handler in SIGNED]
    for number in range(count):
        # A tenth more is tokens of Bright Data, which signs nothing.
        tries = [
            kinds[number % len(kinds)],
            *([("bright-data", "a wrong token", wrong_token)] if number % 10 == 0 else []),
        ]
        for handler, kind, forge in tries:
            before = target.effects.count
            status = await target.ask(forge(handler, chance))
            believed = status < 400 or target.effects.count > before
            result.note(status, f"{handler}: {kind}: {status}" if believed or status >= 500 else None)
        if number % 100 == 0:
            handler = HANDLERS[number // 100 % len(HANDLERS)]
            status = await target.ask(signed(genuine(handler)))
            result.note(status, None if status == 200 else f"{handler}: genuine: {status}")
    return result


async def limits() -> Result:
    """A genuine request is believed up to 300 s off, and not a millisecond longer."""
    result = Result("limits of time: ±300 s exactly")
    target = Target()
    for handler in SIGNED:
        for offset in OFFSETS:
            target.now = NOW + offset
            status = await target.ask(signed(genuine(handler)))
            expected = 200 if abs(offset) <= 300 else 401
            result.note(status, None if status == expected else f"{handler}: {offset:+} s: {status}")
    return result


async def rotation(count: int, chance: random.Random, *, has_overlap: bool = True) -> Result:
    """A secret is replaced while requests come: the sender signs with both for a while, receivers follow one by one."""
    result = Result("rotation under load: refused")
    targets = [Target(RETIRED) for _ in range(5)]
    waiting = iter(range(count))

    def sender(share: float) -> list[str]:
        if share < 0.2:
            return [RETIRED]
        return [SECRET, RETIRED] if has_overlap and share < 0.8 else [SECRET]

    async def send() -> None:
        for number in waiting:
            share = number / count
            for place, target in enumerate(targets):
                if number == int(count * (0.3 + 0.1 * place)):
                    target.restart(SECRET)
            handler = chance.choice(SIGNED[:2])
            message = signed(genuine(handler), secrets=sender(share), webhook_id=f"msg_{number}")
            status = await chance.choice(targets).ask(message)
            result.note(status, None if status == 200 else f"{handler}: request {number}: {status}")

    await asyncio.gather(*[send() for _ in range(AT_ONCE)])
    for target in targets:
        for handler in SIGNED[:2]:
            status = await target.ask(signed(genuine(handler), secrets=[RETIRED]))
            result.note(status, None if status == 401 else f"{handler}: the retired secret afterwards: {status}")
    return result


async def strange(count: int, handler: str, chance: random.Random) -> Result:
    """Requests that make no sense, signed and unsigned: each gets an answer below 500 in time."""
    result = Result(f"strange requests, {handler}: 5xx")
    target = Target()

    for message in strange_requests(handler, count, chance):
        status = await target.ask(message)
        result.note(status, f"{status}: {summary(message)}" if status >= 500 else None)
    if count >= 200 and not (result.statuses[200] and result.statuses[400] and result.statuses[401]):
        result.note(0, f"it did not get far enough: {dict(result.statuses)}")
    return result


def summary(message: Message) -> str:
    given = [*message.headers.items(), *message.more_headers]
    return f"{message.method} {message.path} {given} {message.body[:80]!r}"[:400]


@contextmanager
def planted(fault: str | None) -> Iterator[None]:
    """Mistakes that others have made in such handlers."""
    if fault == "signature":  # compares the version and the first byte only
        with patch.object(trend_events, "hmac", SimpleNamespace(compare_digest=lambda a, b: a[:4] == b[:4])):
            yield
    elif fault == "tolerance":  # a second more
        with patch.object(trend_events, "TOLERANCE", 301):
            yield
    elif fault == "crash":  # takes a signature apart before it is known to be one
        real = trend_events.check_signature

        def careless(headers: Mapping[str, str], body: bytes, *, secrets: Sequence[str], now: float) -> str:
            for given in headers.get("webhook-signature", "").split(" "):
                _, encoded = given.split(",")
                base64.b64decode(encoded)
            return real(headers, body, secrets=secrets, now=now)

        with patch.object(trend_events, "check_signature", careless), patch.object(told, "check_signature", careless):
            yield
    else:
        yield


async def drill(wanted: argparse.Namespace) -> list[Result]:
    chance = random.Random(wanted.seed)  # noqa: S311 -- strange, not secret
    parts = [
        forgeries(wanted.count, chance),
        limits(),
        rotation(wanted.rotations, chance, has_overlap=wanted.fault != "rotation"),
        *(strange(wanted.strange, handler, chance) for handler in HANDLERS),
    ]
    keywords_of("김치")  # the tokenizer loads for seconds, which is no answer's time
    results = []
    for part in parts:
        begun = time.perf_counter()
        result = await part
        result.seconds = round(time.perf_counter() - begun, 1)
        results.append(result)
        if not wanted.json:
            show(result)
    return results


def show(result: Result) -> None:
    statuses = ", ".join(f"{count:,} × {status}" for status, count in sorted(result.statuses.items()))
    print(f"{result.name}: {result.wrong} of {result.sent:,} ({statuses}; {result.seconds} s)", flush=True)
    for example in result.examples:
        print(f"    {example}", flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="./scripts/drills/forgeries", description=__doc__)
    parser.add_argument("--count", type=int, default=50_000, help="forgeries, over all who sign (default: %(default)s)")
    parser.add_argument("--rotations", type=int, default=10_000, help="requests during the rotation")
    parser.add_argument("--strange", type=int, default=100_000, help="strange requests for each handler")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--break", dest="fault", choices=BREAKS, help="plant a fault: it must exit with 1")
    parser.add_argument("--json", action="store_true")
    wanted = parser.parse_args(arguments)
    with planted(wanted.fault), patch.object(logging.getLogger("ondol.functions"), "disabled", True):
        results = asyncio.run(drill(wanted))
    failed = any(result.wrong for result in results)
    if wanted.json:
        parts = [asdict(result) | {"statuses": {str(k): v for k, v in result.statuses.items()}} for result in results]
        print(json.dumps({"passed": not failed, "seed": wanted.seed, "break": wanted.fault, "parts": parts}))
    else:
        print("FAILED" if failed else "passed")
    return int(failed)


if __name__ == "__main__":
    raise SystemExit(main())
