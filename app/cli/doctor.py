"""`ondol doctor`: whether everything that the client needs is there."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import typer
from rich.cells import set_cell_size
from rich.text import Text

from .console import FAILED, LANGUAGE, AsJson, out, print_json, run, say


def doctor_command(as_json: AsJson = False) -> None:
    async def work() -> list[dict[str, Any]]:
        from ..doctor import examine

        checks = []
        async for check in examine(LANGUAGE):
            checks.append(asdict(check))
            if not as_json:
                style = {"ok": "green", "failed": "bold red", "skipped": "yellow"}[check.outcome]
                outcome = set_cell_size(say(f"doctor_{check.outcome}"), 8)
                name = set_cell_size(say(f"doctor_{check.name}"), 15)
                out.print(Text.assemble((outcome, style), name, check.detail), soft_wrap=True)
                if check.next_step and check.outcome == "failed":
                    out.print(" " * 8 + say("next_step", step=check.next_step), markup=False, soft_wrap=True)
        return checks

    checks = run(work)
    healthy = all(check["outcome"] != "failed" for check in checks)
    if as_json:
        print_json({"ok": healthy, "checks": checks})
    if not healthy:
        raise typer.Exit(FAILED)
