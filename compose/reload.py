# ruff: noqa: INP001 -- a script that compose/Dockerfile puts into the image
"""``reload.py PID HOST:PORT...`` tells the running services of the stack that `gpuwarden generate` has written anew.

Prometheus and Alertmanager answer POST /-/reload once the new files are in force, or with an error and the old ones
kept. The alerter, process PID, reads its rules again on SIGHUP; the stack runs this in the alerter's PID namespace.
"""

import os
import signal
import sys
import urllib.error
import urllib.request

_SECONDS = 30.0
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def reload(service: str) -> str:
    """Ask one HOST:PORT to read its files; what went wrong, or an empty text."""
    request = urllib.request.Request(f"http://{service}/-/reload", method="POST")
    try:
        _DIRECT.open(request, timeout=_SECONDS).close()
    except urllib.error.HTTPError as error:
        with error:
            return f"{service} keeps its old files: {error.read(2000).decode(errors='replace').strip()}"
    except OSError as error:
        return f"{service} cannot be told to read its files: {error}"
    return ""


def hang_up(process: int) -> str:
    """Send SIGHUP; what went wrong, or an empty text."""
    try:
        os.kill(process, signal.SIGHUP)
    except OSError as error:
        return f"process {process} cannot be told to read its rules: {error}"
    return ""


def main(process: str, *services: str) -> int:
    """Tell all of them, even when one refuses."""
    complaints = [*map(reload, services), hang_up(int(process))]
    sys.stderr.writelines(f"{complaint}\n" for complaint in complaints if complaint)
    return 1 if any(complaints) else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
