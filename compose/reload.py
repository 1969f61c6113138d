# ruff: noqa: INP001 -- a script that compose/Dockerfile puts into the image
"""Tells the services of the stack that `gpuwarden generate` has written their files anew.

Prometheus and Alertmanager answer POST /-/reload once the new files are in force, or with an error and the old ones
kept. The alerter rereads its rules on SIGHUP; this process shares its PID namespace, where the alerter is process 1.
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
        return f"{service} keeps its old files: {error.read(2000).decode(errors='replace').strip()}"
    except OSError as error:
        return f"{service} cannot be told to read its files: {error}"
    return ""


def main(services: list[str]) -> int:
    """Tell all of them, even when one refuses."""
    complaints = [complaint for complaint in map(reload, services) if complaint]
    os.kill(1, signal.SIGHUP)
    sys.stderr.writelines(f"{complaint}\n" for complaint in complaints)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
