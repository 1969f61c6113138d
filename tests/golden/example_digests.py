"""The groups behind the golden digests: a burst over three hosts, a quiet night, and an alert that came and went."""

from dataclasses import replace

from tests.golden.example_mails import CHINESE, FIRING, HOSTILE, LOWERED, PREDICTED, RESOLVED, XID

AT = FIRING.at + 3600.0
HELD_UNTIL = FIRING.at + 3500.0


def _warning(number, host):
    identity = f"burst{number:a>15}"
    return replace(
        FIRING,
        id=identity,
        incident=identity,
        root=identity,
        at=FIRING.at + number,
        alertname="GpuHot",
        severity="warning",
        labels=(("gpu", str(number)), *FIRING.labels[1:]),
        metric="gpu_temperature_celsius",
        unit="celsius",
        threshold=85.0,
        value=86.0 + number,
        summary=f"GPU {number} is at {86 + number} °C",
        host=host,
    )


BURST = (
    FIRING,
    replace(XID, incident=XID.id),
    *(
        _warning(number, host)
        for number, host in enumerate(("gpubox", "gpubox", "trainer-1", "trainer-2", "trainer-2"))
    ),
    replace(PREDICTED, incident=PREDICTED.id),
    replace(CHINESE, incident=CHINESE.id),
)

NIGHT = tuple(
    replace(one, severity="warning", held_until=HELD_UNTIL, simulated=False)
    for one in (
        FIRING,
        replace(RESOLVED, peak=0.987),
        replace(LOWERED, incident="w" * 20, root="w" * 20, reason="repeat", graver=None),
        replace(HOSTILE, incident=HOSTILE.id),
    )
)

BRIEF = (FIRING, RESOLVED)

DEMO = tuple(replace(one, simulated=number != 2) for number, one in enumerate(BURST))

DIGESTS = {"digest": BURST, "overnight": NIGHT, "brief": BRIEF, "digest_simulated": DEMO}
