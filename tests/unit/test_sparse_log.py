import logging

from gpuwarden.sparse_log import Sparse


def complaints(times):
    """What is written of complaints at these times, from two places in the code."""
    now, lines = [0.0], []
    logger = logging.Logger("test")  # noqa: LOG001 -- one that nobody else has
    logger.addFilter(Sparse(lambda: now[0]))
    handler = logging.Handler()
    handler.emit = lambda record: lines.append((now[0], record.getMessage()))
    logger.addHandler(handler)
    for time in times:
        now[0] = time
        logger.warning("client %d is odd", time)
        logger.warning("odder")
    return lines


def test_ten_thousand_complaints_are_a_line_a_minute_for_each_place():
    """Anyone who reaches the port could fill the disk with log lines."""
    lines = complaints([number / 100 for number in range(10_000)])

    assert lines == [
        (0, "client 0 is odd"),
        (0, "odder"),
        (60, "client 60 is odd (and 5999 more like it)"),
        (60, "odder (and 5999 more like it)"),
    ]


def test_rare_complaints_are_all_written():
    """A person who looks for a trouble would miss half of it."""
    assert [line for _, line in complaints([0, 61, 122])].count("odder") == 3


def test_one_place_may_complain_of_several_things():
    """A flood of one kind of bad request would hide the one of another kind that matters."""
    lines = []
    logger = logging.Logger("test")  # noqa: LOG001 -- one that nobody else has
    logger.addFilter(Sparse(lambda: 0.0))
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())
    logger.addHandler(handler)
    for kind in ("401", "401", "413", "401"):
        logger.warning("refused with %s", kind, extra={"kind": kind})

    assert lines == ["refused with 401", "refused with 413"]
