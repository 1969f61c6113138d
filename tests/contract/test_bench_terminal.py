"""``gpuwarden bench`` on a terminal: a line that moves, a table of its width, colours where they are wanted."""

import contextlib
import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios

import pytest

from tests.fakes.interpreter import interpreter

TEXT = (
    'tell("progress", phase="training")\n'
    'tell("result", outcome="ok", figures={"images_per_second": 5000.0, "epoch_extrapolated": True, "steps": 4})\n'
)


@pytest.fixture
def shown(tmp_path):
    """What a terminal of so many columns gets from a bench of one claim."""

    def call(columns, environ):
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        clean = {key: value for key, value in os.environ.items() if key not in {"COLUMNS", "LINES", "NO_COLOR"}}
        arguments = ("bench", "--device", "cpu", "--only", "imagenet-stem", "--python", interpreter(tmp_path, TEXT))
        command = [sys.executable, "-m", "gpuwarden", *arguments]
        with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env={**clean, **environ}) as process:
            os.close(theirs)
            text = b""
            with contextlib.suppress(OSError):  # the terminal is gone with its last process
                while piece := os.read(ours, 65_536):
                    text += piece
        os.close(ours)
        assert process.returncode == 0, text
        return text.decode().replace("\r\n", "\n")

    return call


def test_a_terminal_gets_a_moving_line_and_colours(shown):
    """A user would not see that it is at work, nor at a glance what was met."""
    text = shown(100, {})

    assert "\r\x1b[K[1/1] resnet18 imagenet stem on 32 x 32, batch 32, fp32, on the CPU" in text
    assert "\x1b[33mother: cpu" in text
    table = text[text.index("claim") :].splitlines()
    assert len(table[1]) == 100


def test_no_color_means_none(shown):
    """A user who cannot tell colours apart has said so already."""
    text = shown(80, {"NO_COLOR": "1"})

    assert "other: cpu" in text
    assert "\x1b[3" not in text
