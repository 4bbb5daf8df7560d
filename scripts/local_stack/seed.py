"""What a deploy sets on a hosted project: Vault secrets, and the endpoints that trends are delivered to."""

from __future__ import annotations

import base64
import json
import secrets

import psycopg

from .settings import Stack, write_private

# What opens each handler of functions/: docs/webhooks.md says what they take.
SIGNED = (
    *("TREND_WEBHOOK_SECRET", "TREND_UPDATE_WEBHOOK_SECRET"),
    *("YOUTUBE_WEBHOOK_SECRET", "TRENDS_WEBHOOK_SECRET", "AI_WEBHOOK_SECRET"),
)
TOLD = ("BRIGHT_DATA_WEBHOOK_TOKEN",)
# Which events each handler of trends takes, and the secret that both sides sign with.
ENDPOINTS = (
    ("notify-trend", "trend.detected", "trend_webhook_secret"),
    ("trend-update", "trend.updated", "trend_update_webhook_secret"),
)


def write_secrets(stack: Stack) -> None:
    """Make the stack's own secrets once and write them where the functions and the handler read them."""
    made = stack_secrets(stack)
    write_private(stack.state / "functions.env", f"WAKE_SECRET={made['wake_secret']}\n")
    opening = "".join(f"{name}={made[name.lower()]}\n" for name in (*SIGNED, *TOLD))
    write_private(stack.state / "handler.env", opening)


def plant(stack: Stack) -> None:
    """Put the secrets where the database reads them, and name the handlers as the endpoints of trends."""
    made = stack_secrets(stack)
    with psycopg.connect(stack.database_url()) as connection:
        for name, value in (("project_url", stack.api_url), ("wake_secret", made["wake_secret"])):
            keep_in_vault(connection, name, value)
        for handler, event_type, secret in ENDPOINTS:
            connection.execute(
                "select public.register_webhook_endpoint(%s, %s, array[%s], allow_private => true)",
                (f"http://127.0.0.1:{stack.ports.handler}/webhooks/{handler}", made[secret], event_type),
            )


def keep_in_vault(connection: psycopg.Connection, name: str, value: str) -> None:
    known = connection.execute(
        "select id, decrypted_secret from vault.decrypted_secrets where name = %s", (name,)
    ).fetchone()
    if known is None:
        connection.execute("select vault.create_secret(%s, %s)", (value, name))
    elif known[1] != value:
        connection.execute("select vault.update_secret(%s, %s)", (known[0], value))


def stack_secrets(stack: Stack) -> dict[str, str]:
    file = stack.state / "secrets.json"
    made: dict[str, str] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    wanted = {name.lower() for name in ("WAKE_SECRET", *SIGNED, *TOLD)}
    if wanted - made.keys():  # a stack of an earlier version lacks the newer ones
        made = (
            {name: secrets.token_urlsafe(32) for name in wanted}
            | {name.lower(): "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode() for name in SIGNED}
            | made
        )
        write_private(file, json.dumps(made) + "\n")
    return made
