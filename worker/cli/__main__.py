"""`python -m worker.cli` is `stagecrew`."""

from worker.cli import main

main()
