"""Runs ssrf_drill.ts with the Deno of this checkout: the sender itself is what is attacked."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

from scripts.local_stack.settings import REPOSITORY, user_cache


def main(arguments: list[str]) -> int:
    deno = str(Path(sysconfig.get_path("scripts")) / "deno")
    options = ("--quiet", "--no-prompt", "--allow-net", "--allow-env")
    configuration = ("--config", str(REPOSITORY / "supabase" / "functions" / "deno.json"))
    command = [deno, "run", *options, *configuration, str(Path(__file__).with_suffix(".ts")), *arguments]
    environment = {"DENO_DIR": str(user_cache() / "deno"), "DENO_NO_UPDATE_CHECK": "1", "NO_COLOR": "1"}
    return subprocess.run(command, env={**os.environ, **environment}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
