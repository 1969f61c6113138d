"""What a person sees while the bench runs, on a terminal and in a log."""

from exporter.bench.claim import Run
from exporter.bench.plan import Planned
from exporter.bench.running.measuring import Record
from exporter.bench.running.progress import Progress
from exporter.latency.torch_child import Done

ANSWER = Run("answer", {"run": "generate", "model": "gpt2-small"}, 1000)


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


def told(terminal):
    """A progress of two runs, what it has written, and its clock."""
    written, clock = [], Clock()
    return Progress(written.append, terminal, 2, clock), written, clock


def record(outcome="ok", reason=""):
    return Record(Planned(ANSWER, ("answer",), ANSWER.spec, (), on_cpu=False), Done(outcome, reason, seconds=12.34))


def test_a_terminal_shows_the_run_its_phase_and_how_many_are_left():
    """A user would not know whether it hangs."""
    progress, written, clock = told(80)
    progress.begin("answer")
    progress.phase("first token")
    clock.now += 3
    progress.tick()
    progress.tick()

    assert written == ["\r\x1b[K[1/2] answer, 0 s, 1 left", "\r\x1b[K[1/2] answer: first token, 3 s, 1 left"]
    progress.end(record())
    assert written[-1] == "\r\x1b[K[1/2] answer: ok, 12.3 s\n"


def test_a_long_name_stays_on_its_line():
    """Each look would add a line to the terminal."""
    progress, written, _ = told(30)
    progress.begin("a" * 100)

    assert len(written[0].removeprefix("\r\x1b[K")) == 29


def test_behind_a_long_name_the_time_goes_on():
    """A user with a narrow terminal would see a line that does not move, and take it for a run that hangs."""
    progress, written, clock = told(40)
    progress.begin("gpt2-small int8_dynamic 32+992 on the CPU")
    progress.phase("first token")
    clock.now += 7
    progress.tick()

    assert written[-1] == "\r\x1b[K[1/2] gpt2...: first token, 7 s, 1 left"


def test_a_log_gets_one_plain_line_for_each_run():
    """A file would fill with control characters."""
    progress, written, _ = told(0)
    for outcome, reason in (("ok", ""), ("not run", "vram")):
        progress.begin("answer")
        progress.phase("first token")
        progress.tick()
        progress.end(record(outcome, reason))
    progress.clear()

    assert written == ["[1/2] answer: ok, 12.3 s\n", "[2/2] answer: not run (vram), 12.3 s\n"]


def test_the_moving_line_is_taken_away_at_the_end():
    """The table would begin behind a line that no longer means anything."""
    progress, written, _ = told(80)
    progress.begin("answer")
    progress.clear()
    progress.clear()

    assert written[1:] == ["\r\x1b[K"]
