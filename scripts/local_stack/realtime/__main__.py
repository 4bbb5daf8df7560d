"""`python -m scripts.local_stack.realtime STACK_JSON`: serve until SIGTERM."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from ..errors import StackError
from ..settings import Stack
from .server import serve

if __name__ == "__main__":
    try:
        asyncio.run(serve(Stack.load(Path(sys.argv[1]))))
    except StackError as error:
        sys.exit(f"realtime: {error}")
