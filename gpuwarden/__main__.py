"""``python -m gpuwarden``."""

from gpuwarden.cli import main

main(prog_name="gpuwarden")
