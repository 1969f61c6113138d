"""Stands in for a Python with torch: speaks the workload's language and does what its environment says.

STAND_IN is a file with one word, read at each start, so that a test may change it while the exporter runs. In the
folder STAND_IN_TOLD each run leaves its spec as PID.json. In the mode ``ok`` it stops at the barrier until it is told
to go on, as the real one does; in the mode ``wait`` it measures until the word is another one, in the mode ``import``
it loads torch until then, and in the mode ``slow`` it never comes to its beginning.
"""

import ctypes
import json
import os
import pathlib
import select
import stat
import sys
import time

FIGURES = {
    "generate": {
        "first_token_cold_seconds": 0.25,
        "first_token_p50_seconds": 0.02,
        "first_token_p90_seconds": 0.03,
        "per_token_seconds": 0.007,
        "per_token_p50_seconds": 0.006,
        "answer_seconds": 0.24,
        "weights_bytes": 248_879_616,
        "kv_cache_bytes": 2_359_296,
        "torch_allocated_peak_bytes": 300_000_000,
        "torch_reserved_peak_bytes": 310_000_000,
        "device_seconds": 0.1,
    },
    "infer": {
        "batch_cold_seconds": 0.2,
        "batch_p50_seconds": 0.003,
        "batch_p90_seconds": 0.004,
        "weights_bytes": 23_379_024,
        "device_seconds": 0.1,
    },
}
STARTED = {"torch": "2.9.1", "cuda": "13.0", "python": "3.12.3", "device": "cuda"}
REFUSED = {"broken_torch": "no_torch", "wrong_cuda": "wrong_cuda", "no_cuda": "no_cuda"}


def tell(event, **values):
    print(json.dumps({"gpuwarden_workload": 1, "event": event, **values}), flush=True)


def result(outcome, **values):
    tell("result", outcome=outcome, **values)
    return 0


def main():
    mode = pathlib.Path(os.environ["STAND_IN"]).read_text().strip()
    if "-c" in sys.argv:  # asked whether it has torch
        return 3 if mode == "no_torch" else 0
    ctypes.CDLL(None).prctl(1, 9, 0, 0, 0)  # PR_SET_PDEATHSIG, SIGKILL: as the workload does
    spec = json.loads(sys.stdin.readline())
    (pathlib.Path(os.environ["STAND_IN_TOLD"]) / f"{os.getpid()}.json").write_text(
        json.dumps({**spec, "visible": os.environ.get("CUDA_VISIBLE_DEVICES"), "nice": os.nice(0)})
    )
    return run(mode, spec)


def run(mode, spec):
    if mode in REFUSED:
        return result("refused", reason=REFUSED[mode], detail="as asked for")
    if mode == "crash":
        os.abort()
    if mode == "garbage":
        sys.stdout.buffer.write(os.urandom(4096) + b'\n{"gpuwarden_workload": 1, "event": "result"}\n[1, 2\n')
        return 0
    if mode == "slow":
        time.sleep(3600)
    tell("progress", phase="import")
    mode = another_than("import", mode)
    tell("progress", phase="device")
    tell("started", **STARTED)
    tell("progress", phase="first token" if spec["run"] == "generate" else "inference")
    if mode == "oom":
        return result("oom", reason="out_of_memory", detail="tried to allocate", figures={})
    if mode == "hang":
        while True:
            time.sleep(3600)
    another_than("wait", mode)
    tell("progress", phase="further tokens")
    tell("barrier", pid=os.getpid(), hold_seconds=spec["hold_seconds"])
    select.select([sys.stdin], [], [], spec["hold_seconds"])
    return result("ok", figures=FIGURES[spec["run"]], spec=spec)


def another_than(word, mode):
    while mode == word:
        time.sleep(0.02)
        mode = pathlib.Path(os.environ["STAND_IN"]).read_text().strip()
    return mode


def install(folder, mode="ok"):
    """An executable in ``folder`` and the environment that it needs."""
    program, told = folder / "python-with-torch", folder / "told"
    program.write_text(f"#!{sys.executable}\n{pathlib.Path(__file__).read_text()}")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    told.mkdir(exist_ok=True)
    (folder / "mode").write_text(mode)
    return program, {"STAND_IN": str(folder / "mode"), "STAND_IN_TOLD": str(told)}


if __name__ == "__main__":
    sys.exit(main())
