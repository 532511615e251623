"""What the exit codes mean; the same for every command, in `--help` and in `docs/screens.md`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

OK: Final = 0
#: Something needs a look: failed or held photos, bad records, a bad check.
TROUBLE: Final = 1
#: Nothing was done: wrong usage or settings, or no Redis.
USAGE: Final = 2
#: Ctrl-C or SIGTERM; what was begun goes on with the next run.
INTERRUPTED: Final = 130

#: The words for each, for people.
MEANING: Final[Mapping[int, str]] = {
    OK: "all is well",
    TROUBLE: "photos failed or are held, or records or checks were bad",
    USAGE: "wrong usage or settings, or Redis can't be reached",
    INTERRUPTED: "interrupted",
}

EPILOG: Final = f"Exit codes: {'; '.join(f'{code} {meaning}' for code, meaning in MEANING.items())}."
