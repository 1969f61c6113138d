"""A real headless Chromium, driven through its DevTools protocol over two pipes: no driver and no port is needed.

Messages are JSON documents that end in a NUL; commands go to descriptor 3 of the browser, answers and events come from
its descriptor 4. Everything that a page asks for, logs or throws is remembered.
"""

import base64
import contextlib
import itertools
import json
import os
import shutil
import subprocess
import threading
from pathlib import Path
from typing import Any, Self

import pytest

from tests.polling import wait_until

_SECONDS = 30
_FLAGS = (
    "--headless=new",
    "--no-sandbox",  # tests may run as root
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)


def chromium() -> str:
    """The path of the browser; without it the test is skipped, but fails in CI."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None and os.environ.get("CI") == "true":
        pytest.fail("chromium is not installed, and CI must run this")
    if found is None:
        pytest.skip("chromium is not installed")
    return found


class Browser:
    """One browser for the time of a ``with`` block; ``profile`` is a folder of its own."""

    def __init__(self, profile: Path) -> None:
        commands, self._write = os.pipe()
        read, answers = os.pipe()
        # The shell puts the two pipes where the browser looks for them.
        script = f'exec "$0" "$@" 3<&{commands} 4>&{answers}'
        self._process = subprocess.Popen(
            ["bash", "-c", script, chromium(), *_FLAGS, f"--user-data-dir={profile}", "about:blank"],
            pass_fds=(commands, answers),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(commands)
        os.close(answers)
        self._numbers = itertools.count(1)
        self._answers: dict[int, Any] = {}
        self._pages: dict[str, Page] = {}
        self._reader = threading.Thread(target=self._listen, args=(read,), daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(AssertionError, OSError):
            self.call("Browser.close")
        os.close(self._write)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, 9)
            self._process.wait(5)
        self._reader.join(5)

    def call(self, method: str, session: str | None = None, **parameters: Any) -> Any:
        """Send a command and return its result."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters, **({"sessionId": session} if session else {})}
        os.write(self._write, json.dumps(message).encode() + b"\0")
        wait_until(lambda: number in self._answers, _SECONDS, f"Chromium did not answer {method}")
        answer = self._answers.pop(number)
        assert "error" not in answer, (method, answer.get("error"))
        return answer["result"]

    def page(self, width: int, height: int, *, dark: bool = False, script: bool = True) -> "Page":
        """A new tab of that size."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self._pages[session] = page = Page(self, session)
        for domain in ("Page", "Network", "Runtime", "Log"):
            page.call(f"{domain}.enable")
        page.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        page.call("Emulation.setEmulatedMedia", features=[scheme])
        page.call("Emulation.setScriptExecutionDisabled", value=not script)
        return page

    def _listen(self, read: int) -> None:
        rest = b""
        with open(read, "rb", buffering=0) as pipe:
            while chunk := pipe.read(1 << 16):
                *messages, rest = (rest + chunk).split(b"\0")
                for message in map(json.loads, messages):
                    if "id" in message:
                        self._answers[message["id"]] = message
                    elif page := self._pages.get(message.get("sessionId", "")):
                        page.hear(message["method"], message["params"])


class Page:
    """One tab. ``asked`` are the URLs that it requested, ``complaints`` what its console says."""

    def __init__(self, browser: Browser, session: str) -> None:
        self._browser = browser
        self._session = session
        self.asked: list[str] = []
        self.complaints: list[str] = []
        self.loads = 0

    def hear(self, method: str, parameters: Any) -> None:
        if method == "Network.requestWillBeSent":
            self.asked.append(parameters["request"]["url"])
        elif method == "Page.loadEventFired":
            self.loads += 1
        elif method == "Log.entryAdded":
            self.complaints.append(parameters["entry"]["text"])
        elif method in {"Runtime.consoleAPICalled", "Runtime.exceptionThrown"}:
            self.complaints.append(json.dumps(parameters))

    def call(self, method: str, **parameters: Any) -> Any:
        return self._browser.call(method, self._session, **parameters)

    def open(self, url: str) -> None:
        """Load ``url`` and wait until it is there."""
        before = self.loads
        self.call("Page.navigate", url=url)
        wait_until(lambda: self.loads > before, _SECONDS, f"{url} was not loaded")

    def value(self, expression: str) -> Any:
        """What a JavaScript expression comes to; works where the page itself may run no script."""
        return self.call("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def texts(self, selector: str) -> list[str]:
        """The visible text of each element that ``selector`` finds."""
        return self.value(f"[...document.querySelectorAll({json.dumps(selector)})].map(found => found.innerText)")

    def screenshot(self, path: Path, *, whole: bool = False) -> None:
        """Write a PNG of what is seen, or of the whole page."""
        data = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)["data"]
        path.write_bytes(base64.b64decode(data))
