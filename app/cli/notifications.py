"""`ondol notifications`: what one was told, and that one has read it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from ..config import read_settings
from .console import AsJson, err, moment, out, print_json, run, say
from .person import signed_in

if TYPE_CHECKING:
    from ..shorts.notifications import Notification


def notifications_command(
    email: Annotated[str | None, typer.Option("--email", help=say("help_option_notified"))] = None,
    limit: Annotated[int, typer.Option(min=1, max=200, help=say("help_option_notifications"))] = 20,
    read: Annotated[bool, typer.Option("--read", help=say("help_option_read"))] = False,
    as_json: AsJson = False,
) -> None:
    async def work() -> list[Notification]:
        from ..shorts.api import ShortsApi

        async with signed_in(read_settings(), email) as client:
            api = ShortsApi(client)
            found = await api.my_notifications(limit)
            if read:
                await api.mark_notifications_read([one.id for one in found])
            return found

    found = run(work)
    if as_json:
        print_json([one.model_dump(mode="json") for one in found])
    elif found:
        out.print(notifications_table(found))
    else:
        err.print(say("notifications_none"))


def notifications_table(found: list[Notification]) -> Table:
    """Newest first; what is not read yet is bold."""
    table = Table(title=say("notifications_title"), title_justify="left")
    table.add_column(say("column_when"), no_wrap=True)
    table.add_column(say("column_kind"), no_wrap=True)
    table.add_column(say("column_keyword"), overflow="fold")
    table.add_column(say("column_region"), no_wrap=True)
    table.add_column(say("column_score"), justify="right")
    for one in found:
        score = one.payload.get("trend_score")
        table.add_row(
            moment(one.created_at),
            Text(one.kind),
            Text(one.keyword or ""),
            Text(one.region_code or ""),
            f"{score:.3f}" if isinstance(score, int | float) else "",
            style="" if one.read_at else "bold",
        )
    return table
