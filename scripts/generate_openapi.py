"""Write docs/openapi.json: what functions/openapi.py says of the handlers and of the events that Ondol sends."""

from __future__ import annotations

import json

from functions.openapi import document
from scripts.local_stack.settings import REPOSITORY

FILE = REPOSITORY / "docs" / "openapi.json"


def text() -> str:
    return json.dumps(document(), ensure_ascii=False, indent=2) + "\n"


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
    print(f"generate-openapi: wrote {FILE.relative_to(REPOSITORY)}.")
