"""What the exit codes mean; the same for every command, and in `--help`."""

from __future__ import annotations

from typing import Final

OK: Final = 0
#: Something needs a look: failed or held photos, bad records, a bad check.
TROUBLE: Final = 1
#: Nothing was done: wrong usage or settings, or no Redis.
USAGE: Final = 2
#: Ctrl-C or SIGTERM; what was begun goes on with the next run.
INTERRUPTED: Final = 130

EPILOG: Final = (
    "Exit codes: 0 all is well; 1 photos failed or are held, or records or checks were bad; "
    "2 wrong usage or settings, or Redis can't be reached; 130 interrupted."
)
