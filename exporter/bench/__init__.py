"""``gpuwarden bench``: the workloads on demand, against published figures.

claim.py, plan.py     what is claimed of which runs, and which runs are made: pure
guide/                the claims of the guide, and the runs that they need (the command without a mode)
fit/                  which models fit a card (``--fit``): reckoned, nothing is run
module/               how fast a model of the user's own is (``--module``)
running/              making runs, one after the other, and reading the card around each
telling/              what was found as a table, a page, a document, and a document read again
around.py             flags and circumstances that modes share;  cli_modes.py, cli.py  the command
"""
