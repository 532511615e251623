"""`python -m handbook`: writes every generated document, then builds the site of all of them."""

from __future__ import annotations

import subprocess
import sys
from typing import Final

from handbook.pages import INDEX, UnreadablePage, pages, with_index
from handbook.site import SITE, SiteNotBuilt, build

#: What writes documents, each a module of the part that knows.
WRITERS: Final = (
    "config.document",
    "worker.sinks.document",
    "worker.cli.document",
    "worker.metrics.document",
    "worker.metrics.dashboard",
    "worker.logbook.document",
)


def main() -> int:
    """Write and build; 0, or 1 with what is wrong."""
    for writer in WRITERS:
        subprocess.run([sys.executable, "-m", writer], check=True)  # noqa: S603 - our own modules
    try:
        INDEX.write_text(with_index(INDEX.read_text("utf-8"), pages()), encoding="utf-8")
        count = build()
    except (SiteNotBuilt, UnreadablePage) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"{count} pages: {SITE}/index.html\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
