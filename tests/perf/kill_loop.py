"""The alerter killed with -9 at random moments while alerts fire and resolve: nothing lost, nothing made up.

``python -m tests.perf.kill_loop [--kills 200] [--seed N]``. Both roads (the alerter judges by itself; Alertmanager
posts) go at the same time, with half of the kills each. What is done and what must hold is told in
``tests/scenarios/kill_loop.py``. Ends with status 1 when something does not hold; the same seed kills after the same
waits, though not at the same instructions.
"""

import argparse
import secrets
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.scenarios.kill_loop import RECIPIENTS, ROADS, Figures, Loop


def main() -> None:
    """Run both roads and print what was seen."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=None)
    arguments = parser.parse_args()
    seed = secrets.randbelow(2**32) if arguments.seed is None else arguments.seed
    begun = time.monotonic()
    print(f"seed {seed}, {arguments.kills} kills, begun {time.strftime('%Y-%m-%d %H:%M:%S %Z')}", flush=True)

    def say(line: str) -> None:
        print(f"{time.monotonic() - begun:7.1f} s  {line}", flush=True)

    each = -(-arguments.kills // len(ROADS))
    with tempfile.TemporaryDirectory(prefix="gpuwarden-kill-loop-") as folder, ThreadPoolExecutor() as pool:
        loops = [Loop(road, Path(folder, road.judge), each, seed) for road in ROADS]
        results = list(pool.map(lambda loop: loop.run(say), loops))
    report(results)
    complaints = [f"{figures.road}: {complaint}" for figures in results for complaint in figures.complaints]
    print("\n".join(complaints[:20]) or "\nverdict: nothing lost, nothing made up, what came twice was the same mail")
    sys.exit(1 if complaints else 0)


def report(results: list[Figures]) -> None:
    """The roads beside each other."""
    rows: list[tuple[str, list[object]]] = [
        ("kills", [it.kills for it in results]),
        ("of these before it listened", [it.killed_before_listening for it in results]),
        (f"incidents that lasted, each told to {len(RECIPIENTS)}", [it.lasting for it in results]),
        ("brief incidents", [it.brief for it in results]),
        ("of these over before any alerter looked", [it.brief_untold for it in results]),
        ("mails accepted by the server", [it.mails for it in results]),
        ("different mails (Message-IDs)", [it.distinct for it in results]),
        ("sent again after a kill in the middle of sending", [it.recovered for it in results]),
        ("of these accepted twice, same Message-ID and bytes", [it.twice for it in results]),
        ("seconds", [f"{it.seconds:.0f}" for it in results]),
    ]
    print(f"\n{'judged by':52}" + "".join(f"{it.road:>14}" for it in results))
    for name, cells in rows:
        print(f"{name:52}" + "".join(f"{cell!s:>14}" for cell in cells))


if __name__ == "__main__":
    main()
