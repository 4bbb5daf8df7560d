"""The group `ondol webhooks`: who is told of events, and what became of it.

With the secret key the operator's view; with `--email`, or without the key, a person's own endpoints.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, TypeVar
from uuid import UUID

import typer
from rich.text import Text

from ..config import read_settings
from .console import AsJson, described, err, options, out, print_json, run, say
from .person import signed_in
from .webhook_tail import PAGE, follow
from .webhook_views import endpoints_table, log_table, print_attempt, show_secret, state_text

if TYPE_CHECKING:
    from .webhook_owners import Owner

Result = TypeVar("Result")


def read_time(value: str) -> datetime:
    """A moment of ISO 8601 with its zone."""
    try:
        read = datetime.fromisoformat(value)
    except ValueError:
        read = None
    if read is None or read.tzinfo is None:
        raise typer.BadParameter(f"{say('dataset_time', value=ascii(value))} {say('dataset_time.next')}")
    return read


Email = Annotated[str | None, typer.Option("--email", help=say("help_option_webhooks_email"))]
Endpoint = Annotated[UUID, typer.Argument(metavar="ENDPOINT", help=say("help_option_endpoint"))]
MaybeEndpoint = Annotated[UUID | None, typer.Argument(metavar="ENDPOINT", help=say("help_option_some_endpoint"))]

webhooks = typer.Typer(help=say("help_webhooks"), **options)


@asynccontextmanager
async def owner_of(email: str | None) -> AsyncIterator[Owner]:
    """Who asks: a person with `--email` or without a secret key, else the operator."""
    from ..client import Client
    from ..shorts.api import ShortsApi
    from .webhook_owners import Operator, Person

    settings = read_settings()
    if email is None and settings.secret_key is not None:
        async with Client(settings, key=settings.secret_key) as client:
            yield Operator(ShortsApi(client))
    else:
        async with signed_in(settings, email) as client:
            yield Person(ShortsApi(client))


def ask(email: str | None, question: Callable[[Owner], Awaitable[Result]]) -> Result:
    async def work() -> Result:
        async with owner_of(email) as owner:
            return await question(owner)

    return run(work)


@webhooks.command("list", **described("help_webhooks_list", "ondol webhooks list"))
def webhooks_list_command(email: Email = None, as_json: AsJson = False) -> None:
    found = ask(email, lambda owner: owner.endpoints())
    if as_json:
        print_json([endpoint.model_dump(mode="json") for endpoint in found])
    elif found:
        out.print(endpoints_table(found))
    else:
        err.print(say("webhooks_none"))


@webhooks.command(
    "add", **described("help_webhooks_add", "ondol webhooks add https://example.com/hooks --event trend.updated")
)
def webhooks_add_command(
    url: Annotated[str, typer.Argument(metavar="URL", help=say("help_option_webhook_url"))],
    event: Annotated[list[str] | None, typer.Option("--event", help=say("help_option_event"))] = None,
    description: Annotated[str | None, typer.Option("--description", help=say("help_option_description"))] = None,
    allow_private: Annotated[bool, typer.Option("--allow-private", help=say("help_option_allow_private"))] = False,
    email: Email = None,
    as_json: AsJson = False,
) -> None:
    events = event or ["trend.detected"]
    added = ask(email, lambda owner: owner.add(url, events, description=description, allow_private=allow_private))
    show_secret(added.id, added.secret, as_json=as_json)


@webhooks.command("test", **described("help_webhooks_test", "ondol webhooks test 5a3b1e00-0000-4000-8000-000000000001"))
def webhooks_test_command(endpoint: Endpoint, email: Email = None, as_json: AsJson = False) -> None:
    sent = ask(email, lambda owner: owner.test(str(endpoint)))
    if as_json:
        print_json(sent.model_dump(mode="json"))
    else:
        out.print(say("webhook_test_sent", webhook_id=sent.webhook_id), soft_wrap=True)
        err.print(say("next_step", step=say("webhook_test_sent.next", endpoint=endpoint)), soft_wrap=True)


@webhooks.command(
    "rotate",
    **described("help_webhooks_rotate", "ondol webhooks rotate 5a3b1e00-0000-4000-8000-000000000001 --overlap 3600"),
)
def webhooks_rotate_command(
    endpoint: Endpoint,
    overlap: Annotated[int, typer.Option("--overlap", min=0, max=604_800, help=say("help_option_overlap"))] = 86_400,
    email: Email = None,
    as_json: AsJson = False,
) -> None:
    rotated = ask(email, lambda owner: owner.rotate(str(endpoint), overlap_seconds=overlap))
    show_secret(rotated.id, rotated.secret, until=rotated.previous_until, as_json=as_json)


@webhooks.command("replay", **described("help_webhooks_replay", "ondol webhooks replay --since 2026-07-10T00:00:00Z"))
def webhooks_replay_command(
    endpoint: MaybeEndpoint = None,
    since: Annotated[
        datetime | None, typer.Option("--since", parser=read_time, metavar="TIME", help=say("help_option_since"))
    ] = None,
    until: Annotated[
        datetime | None, typer.Option("--until", parser=read_time, metavar="TIME", help=say("help_option_until"))
    ] = None,
    delivery: Annotated[list[UUID] | None, typer.Option("--delivery", help=say("help_option_delivery"))] = None,
    email: Email = None,
    as_json: AsJson = False,
) -> None:
    deliveries = [str(one) for one in delivery] if delivery else None
    one = str(endpoint) if endpoint else None
    count = ask(email, lambda owner: owner.replay(one, since=since, until=until, delivery_ids=deliveries))
    if as_json:
        print_json({"replayed": count})
    else:
        out.print(say("webhooks_replayed", count=count))


@webhooks.command(
    "log", **described("help_webhooks_log", "ondol webhooks log 5a3b1e00-0000-4000-8000-000000000001 --limit 50")
)
def webhooks_log_command(
    endpoint: Endpoint,
    limit: Annotated[int, typer.Option(min=1, max=PAGE, help=say("help_option_deliveries"))] = 20,
    before: Annotated[
        datetime | None, typer.Option("--before", parser=read_time, metavar="TIME", help=say("help_option_before"))
    ] = None,
    email: Email = None,
    as_json: AsJson = False,
) -> None:
    log = ask(email, lambda owner: owner.log(str(endpoint), limit=limit, before=before))
    if as_json:
        print_json(log.model_dump(mode="json"))
        return
    if not log.deliveries:
        err.print(say("webhook_log_empty"))
        return
    out.print(log_table(log.deliveries))
    if log.next_before is not None:
        err.print(say("webhook_log_more", before=log.next_before.isoformat()), soft_wrap=True)


@webhooks.command("tail", **described("help_webhooks_tail", "ondol webhooks tail --json"))
def webhooks_tail_command(
    endpoint: MaybeEndpoint = None,
    every: Annotated[float, typer.Option("--every", min=0.1, max=3600, help=say("help_option_every"))] = 5.0,
    count: Annotated[int | None, typer.Option(min=1, help=say("help_option_attempts"))] = None,
    email: Email = None,
    as_json: AsJson = False,
) -> None:
    async def work() -> None:
        async with owner_of(email) as owner:
            shown = 0
            followed = follow(owner, str(endpoint) if endpoint else None, pause=lambda: asyncio.sleep(every))
            async for told, delivery, attempt in followed:
                print_attempt(told, delivery, attempt, as_json=as_json)
                shown += 1
                if shown == count:
                    return

    run(work)


@webhooks.command(
    "enable", **described("help_webhooks_enable", "ondol webhooks enable 5a3b1e00-0000-4000-8000-000000000001")
)
def webhooks_enable_command(endpoint: Endpoint, email: Email = None, as_json: AsJson = False) -> None:
    switch(endpoint, email, is_enabled=True, as_json=as_json)


@webhooks.command(
    "disable", **described("help_webhooks_disable", "ondol webhooks disable 5a3b1e00-0000-4000-8000-000000000001")
)
def webhooks_disable_command(endpoint: Endpoint, email: Email = None, as_json: AsJson = False) -> None:
    switch(endpoint, email, is_enabled=False, as_json=as_json)


@webhooks.command(
    "remove", **described("help_webhooks_remove", "ondol webhooks remove 5a3b1e00-0000-4000-8000-000000000001")
)
def webhooks_remove_command(endpoint: Endpoint, email: Email = None, as_json: AsJson = False) -> None:
    ask(email, lambda owner: owner.remove(str(endpoint)))
    if as_json:
        print_json({"removed": str(endpoint)})
    err.print(say("webhook_removed", endpoint=endpoint), soft_wrap=True)


def switch(endpoint: UUID, email: str | None, *, is_enabled: bool, as_json: bool) -> None:
    changed = ask(email, lambda owner: owner.switch(str(endpoint), is_enabled=is_enabled))
    if as_json:
        print_json(changed.model_dump(mode="json"))
    else:
        out.print(Text(f"{changed.url}: {state_text(changed)}"), soft_wrap=True)
