"""`python -m scripts.local_stack`: an interruption while the commands are still being imported is quiet too."""

from __future__ import annotations

import sys

try:
    from .commands import main

    main()
except KeyboardInterrupt:
    sys.exit(130)
