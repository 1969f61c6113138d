"""How often the embedded judge and Prometheus disagree about a rule, on random rules and series: never, it should say.

``python -m tests.perf.rules_differential [--rules 10000] [--seed 1]`` asks promtool of Prometheus 2 and of Prometheus 3
about that many rules each. Every alert is compared in every one of 40 minutes.
"""

import argparse
import random
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from tests.contract.differential import Compared, compare
from tests.contract.random_rules import MINUTES

_TOGETHER = 40
"""Rules of one world, in one promtool run."""


def main() -> int:
    """Compare and print; 1 when anything was judged differently."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rules", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    tools = {name: found for name in ("promtool", "promtool3") if (found := shutil.which(name))}
    if len(tools) < 2:
        print("needs promtool (Prometheus 2) and promtool3 (Prometheus 3) on the PATH: .ci/tools", file=sys.stderr)
        return 2
    seeds = range(arguments.seed, arguments.seed + -(-arguments.rules // _TOGETHER))
    with ProcessPoolExecutor() as pool:
        results = {name: pool.map(_world, [path] * len(seeds), seeds) for name, path in tools.items()}
        return max(_report(tools[name], seeds, result) for name, result in results.items())


def _world(tool: str, seed: int) -> Compared:
    compared = Compared()
    with tempfile.TemporaryDirectory() as folder:
        compare(tool, Path(folder), random.Random(seed), _TOGETHER, compared, old=_major(tool) < 3)
    return compared


def _major(tool: str) -> int:
    return int(_version(tool).partition(".")[0])


def _version(tool: str) -> str:
    said = subprocess.run([tool, "--version"], capture_output=True, text=True, check=True)
    return (said.stdout + said.stderr).split()[2]


def _report(tool: str, seeds, results) -> int:
    total, began = Compared(), time.monotonic()
    for number, (seed, found) in enumerate(zip(seeds, results, strict=True), 1):
        total.rules += found.rules
        total.series += found.series
        total.minutes += found.minutes
        total.disagreed += [f"seed {seed}: {said.strip()}" for said in found.disagreed]
        if sys.stderr.isatty():
            print(f"\r{number}/{len(seeds)} worlds, {time.monotonic() - began:.0f} s ", end="", file=sys.stderr)
    if sys.stderr.isatty():
        print(file=sys.stderr)
    print(
        f"promtool {_version(tool)}: {total.rules:,} rules, {total.series:,} rules on a series,"
        f" {MINUTES} minutes each, {total.minutes:,} firing minutes: {len(total.disagreed)} worlds judged differently"
    )
    for said in total.disagreed[:3]:
        print(said[:3000])
    return int(bool(total.disagreed))


if __name__ == "__main__":
    sys.exit(main())
