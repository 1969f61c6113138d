"""Where the evidence of this alerter's mails comes from, by the settings in force."""

from collections.abc import Mapping, Sequence

from alerts.artist import Artist
from alerts.evidence.links import links_of, pages_of
from alerts.evidence.local import LocalSeries, Recorder
from alerts.evidence.points import Points
from alerts.evidence.prometheus import PrometheusEvidence
from alerts.evidence.prometheus_range import PrometheusSeries
from alerts.evidence.stage import EvidenceStage, Sources
from alerts.in_force import Following, InForce
from alerts.notify.notification import Link, Notification
from alerts.rule import Rule

FONTS = "fonts"
"""In the state folder: what the library that draws has found out of this machine's fonts."""


def evidence_stage(in_force: InForce, recorder: Recorder | None) -> EvidenceStage:
    """``recorder`` is that of the rounds, where the alerter judges; else Prometheus is asked, where there is one."""
    folder = in_force.settings.state_folder / FONTS
    pages = Following(lambda: in_force.settings.targets if recorder else (), pages_of)
    witness = LocalWitness(in_force, recorder) if recorder else PrometheusWitness(in_force)

    def links(notification: Notification) -> tuple[Link, ...]:
        return links_of(notification, in_force.settings.links, pages.now)

    sources = Sources(points_of=witness.points_of, enrich=witness.enrich, artist=lambda: Artist(folder), links=links)
    return EvidenceStage(sources)


class LocalWitness:
    """Knows what this process has read; the rest was frozen when an alert was decided."""

    def __init__(self, in_force: InForce, recorder: Recorder) -> None:
        self.points_of = LocalSeries(recorder, lambda: in_force.rules).points_of
        self.enrich = None


class PrometheusWitness:
    """Asks the Prometheus in force, where there is one."""

    def __init__(self, in_force: InForce) -> None:
        def ask(url: str | None) -> tuple[PrometheusSeries, PrometheusEvidence] | None:
            return (PrometheusSeries(url, rules), PrometheusEvidence(url, rules)) if url else None

        def rules() -> Sequence[Rule]:
            return in_force.rules

        self._asked = Following(lambda: in_force.settings.prometheus.url, ask)

    async def points_of(self, notifications: Sequence[Notification]) -> Mapping[str, Points]:
        """The readings, by the notifications' ids."""
        asked = self._asked.now
        return await asked[0].points_of(notifications) if asked else {}

    async def enrich(self, notifications: Sequence[Notification]) -> Sequence[Notification]:
        """The same notifications with holders, host and value."""
        asked = self._asked.now
        return await asked[1].enrich(notifications) if asked else notifications
