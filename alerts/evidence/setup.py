"""Where the evidence of this alerter's mails comes from, by its settings."""

from collections.abc import Callable, Sequence

from alerts.artist import Artist
from alerts.evidence.links import links_of, pages_of
from alerts.evidence.local import LocalSeries, Recorder
from alerts.evidence.prometheus import PrometheusEvidence
from alerts.evidence.prometheus_range import PrometheusSeries
from alerts.evidence.stage import EvidenceStage, Sources
from alerts.in_force import Following, InForce
from alerts.notify.notification import Notification
from alerts.rule import Rule
from alerts.settings import AlerterSettings

FONTS = "fonts"
"""In the state folder: what the library that draws has found out of this machine's fonts."""


def evidence_stage(
    settings: AlerterSettings, rules: Callable[[], Sequence[Rule]], recorder: Recorder | None
) -> EvidenceStage:
    """``recorder`` is that of the rounds, where the alerter judges; ``rules`` gives those in force."""
    url, folder, links = settings.prometheus.url, settings.state_folder / FONTS, settings.links
    pages = pages_of(settings.targets) if settings.judges_itself else {}
    if recorder:
        series, enrich = LocalSeries(recorder, rules), None
    elif url:
        series, enrich = PrometheusSeries(url, rules), PrometheusEvidence(url, rules).enrich
    else:
        series, enrich = None, None
    sources = Sources(
        series=series,
        enrich=enrich,
        artist=(lambda: Artist(folder)) if series else None,
        links=lambda notification: links_of(notification, links, pages),
    )
    return EvidenceStage(sources)


class EvidenceInForce:
    """The evidence that the settings in force ask for at the time of each batch."""

    def __init__(self, in_force: InForce, recorder: Recorder | None) -> None:
        def stage(settings: AlerterSettings) -> EvidenceStage:
            return evidence_stage(settings, lambda: in_force.rules, recorder)

        self._stage = Following(lambda: in_force.settings, stage)

    async def enrich(self, notifications: Sequence[Notification]) -> Sequence[Notification]:
        """As ``EvidenceStage.enrich``."""
        return await self._stage.now.enrich(notifications)

    async def picture_of(self, notification: Notification) -> bytes | None:
        """As ``EvidenceStage.picture_of``; none where the settings changed since ``enrich``."""
        return await self._stage.now.picture_of(notification)

    async def prepare(self) -> None:
        """As ``EvidenceStage.prepare``."""
        await self._stage.now.prepare()
