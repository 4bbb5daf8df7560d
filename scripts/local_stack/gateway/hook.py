"""The custom access token hook of config.toml, run and judged as the hosted auth service does."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import psycopg

from ..errors import StackError
from .answers import Refused, auth_error
from .database import AuthDatabase

REQUIRED = ("aud", "exp", "iat", "sub", "email", "phone", "role", "aal", "session_id", "is_anonymous")
TYPES: dict[str, tuple[str, ...]] = {
    "aud": ("string", "array"),
    "exp": ("integer",),
    "jti": ("string",),
    "iat": ("integer",),
    "iss": ("string",),
    "nbf": ("integer",),
    "sub": ("string",),
    "email": ("string",),
    "phone": ("string",),
    "app_metadata": ("object",),
    "user_metadata": ("object",),
    "role": ("string",),
    "aal": ("string",),
    "amr": ("array",),
    "session_id": ("string",),
    "client_id": ("string",),
}
JSON_TYPES = {str: "string", list: "array", int: "integer", dict: "object", bool: "boolean", float: "number"}


@dataclass(frozen=True)
class TokenHook:
    """Where `[auth.hook.custom_access_token]` points."""

    uri: str
    schema: str
    function: str

    @classmethod
    def configured(cls, auth: dict[str, Any]) -> TokenHook | None:
        hook = auth.get("hook", {}).get("custom_access_token", {})
        if not hook.get("enabled"):
            return None
        uri = str(hook.get("uri", ""))
        parts = urlsplit(uri)
        names = parts.path.strip("/").split("/")
        if parts.scheme != "pg-functions" or len(names) != 2 or not all(names):
            raise StackError(
                f"The local stack cannot run the token hook {uri!r} of supabase/config.toml.",
                next_step="Name a function of the database: pg-functions://postgres/<schema>/<function>.",
            )
        return cls(uri=uri, schema=names[0], function=names[1])

    async def apply(self, database: AuthDatabase, *, claims: dict[str, Any], method: str) -> dict[str, Any]:
        """The claims that the hook gives back; raises the hosted service's refusal when it must not be used."""
        event = {"user_id": claims["sub"], "claims": claims, "authentication_method": method}
        try:
            output = await database.call_hook(self.schema, self.function, json.dumps(event))
        except psycopg.Error as error:
            # The client learns no more than on hosted; the reason is for the log.
            print(f"gateway: {self.uri} failed: {error}", file=sys.stderr, flush=True)
            raise auth_error(500, "unexpected_failure", f"Error running hook URI: {self.uri}") from None
        return judge(output)


def judge(output: Any) -> dict[str, Any]:
    """The claims in a hook's output; a refusal when it reports an error or breaks the claims' schema."""
    if not isinstance(output, dict):
        raise auth_error(500, "unexpected_failure", "Error unmarshaling JSON output.")
    error = output.get("error")
    if isinstance(error, dict) and error.get("message"):
        raise hook_error(error)
    if "claims" not in output:
        raise auth_error(500, "unexpected_failure", "output claims field is missing")
    claims = output["claims"]
    complaints = faults(claims)
    if complaints:
        lines = "".join(f"- {complaint}\n" for complaint in complaints)
        message = f"output claims do not conform to the expected schema: \n{lines}"
        raise auth_error(500, "unexpected_failure", message)
    valid: dict[str, Any] = claims
    return valid


def hook_error(error: dict[str, Any]) -> Refused:
    code = error.get("http_code")
    status = code if isinstance(code, int) and 400 <= code <= 599 else 500
    return auth_error(status, "unexpected_failure" if status == 500 else "unknown", str(error["message"]))


def faults(claims: Any) -> list[str]:
    """What is wrong with the claims, in the words of the hosted service's schema check."""
    if not isinstance(claims, dict):
        return [f"(root): Invalid type. Expected: object, given: {json_type(claims)}"]
    missing = [f"(root): {name} is required" for name in REQUIRED if name not in claims]
    wrong = [
        f"{name}: Invalid type. Expected: {'/'.join(allowed)}, given: {json_type(claims[name])}"
        for name, allowed in TYPES.items()
        if name in claims and json_type(claims[name]) not in allowed
    ]
    return missing + wrong


def json_type(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        return "integer"
    return JSON_TYPES.get(type(value), "null")
