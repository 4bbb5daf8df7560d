"""The README's first command, in a checkout of its own: from ingest to everybody who hears of a trend."""

from __future__ import annotations

import re
import time
from pathlib import Path

from scripts.local_stack.travel import SETTLE_SECONDS
from tests.docs.blocks import blocks
from tests.docs.shape import missing_lines
from tests.docs.shown import printed_elsewhere

from .conftest import PORT_BASE, Checkout


def check_travels(output: str) -> None:
    """At least one trend over 0.8 reached the webhook and both subscribers, and none was lost."""
    arrived = re.search(
        r"(\d+) trends over 0\.8: (\d+) reached the webhook, (\d+) the supabase-py subscriber, "
        r"(\d+) the supabase-js subscriber",
        output,
    )
    assert arrived, output
    notified, *reached = map(int, arrived.groups())
    assert notified >= 1
    assert reached == [notified] * 3
    assert "signed webhook verified by the Python handler" in output


def test_once_on_the_generated_sample(checkout: Checkout) -> None:
    code, output = checkout.run("--once", "--port-base", PORT_BASE)
    assert code == 0, output
    assert "a generated sample" in output
    for planted in ("두바이쫀득쿠키", "말차소금빵"):
        assert planted in output
    check_travels(output)
    [readme] = [block for block in blocks("text", page="README.md") if printed_elsewhere(block) is not None]
    assert missing_lines(readme.text, output) == []


def test_once_on_real_charts(checkout: Checkout, shared_data: Path) -> None:
    data = shared_data / "youtube-8countries-2026-07"
    code, output = checkout.run("--once", "--port-base", PORT_BASE, "--data", str(data))
    assert code == 0, output
    assert "ingested 74,382 chart rows and 21,531 videos" in output
    assert re.search(r"21,531 videos and \d{3},\d{3} hourly signals are new, 0 rows were refused", output)
    # Fifty Korean videos every six hours hold no trend beyond chance; eight countries do.
    assert re.search(r"[1-9]\d* trends in 188 snapshots", output)
    check_travels(output)


def test_a_second_run_on_the_same_stack_finds_nothing_new(checkout: Checkout) -> None:
    for already_known in (False, True):
        began = time.monotonic()
        process, printed = checkout.started("--port-base", PORT_BASE)
        process.terminate()
        rest, _ = process.communicate(timeout=60)
        output = printed + rest
        assert process.returncode == 130, output
        assert ("0 videos and 0 hourly signals are new" in output) is already_known
        assert (", 0 notified)" in output) is already_known
        assert ("this data was replayed here before" in output) is already_known
        assert time.monotonic() - began < SETTLE_SECONDS, "it waited for what was notified before it listened"
