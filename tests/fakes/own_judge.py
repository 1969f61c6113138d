"""The alerter as its own judge of some cards' memory: real decisions in a real store, on a clock that a test moves."""

import asyncio
from types import MappingProxyType

from alerts.decisions import Decisions
from alerts.judge import judge
from alerts.matchers import Matcher
from alerts.notify.silence import Silence
from alerts.notify_settings import NotifySettings
from alerts.rules import rules_of
from alerts.series import Sample, Scrape, label_set
from alerts.silence_rows import put
from alerts.silences import Silences
from alerts.store import Store
from gpuwarden.documents import parse
from tests.in_force import in_force

NOW = 1_800_000_000.0
OWN = {"job": "gpuwarden", "instance": "box:9400"}
LADDER = """
rules:
  - {alert: Critical, metric: gpu_memory_used_ratio, above: 0.9, severity: critical,
     summary: "GPU {{ gpu }} memory is {{ value }} full"}
  - {alert: Warning, metric: gpu_memory_used_ratio, above: 0.8, severity: warning, muted_by: [Critical],
     summary: "GPU {{ gpu }} memory is {{ value }} full"}
"""
ROUND = 10.0


def rules(*overrides, base=LADDER):
    return rules_of([parse(base, "ladder.yml"), *(parse(f"rules: [{text}]", "own.yml") for text in overrides)])


class OwnJudge:
    """What is told of the cards of one box; ``told`` holds all notifications so far."""

    def __init__(self, folder, found=None, notify=None, routes=()):
        self.folder, self.now, self.routes = folder, NOW, routes
        self.rules, self.notify = rules() if found is None else found, notify or NotifySettings()
        self.told = []
        self._start()

    def _start(self):
        self.store = Store.open(self.folder)
        silences = Silences(self.store)
        terms = in_force(self.rules, ["me@example.com"], notify=self.notify, routes=self.routes)
        self.decisions = Decisions(self.store, terms, silences)

    def restart(self):
        """As after a kill -9: what is not on the disk is gone."""
        self.store.close()
        self._start()

    def silence(self, seconds, **labels):
        """Somebody asks for quiet from now on."""
        matchers = tuple(Matcher(name, "=", text) for name, text in labels.items())
        times = {"starts_at": self.now, "ends_at": self.now + seconds, "updated_at": self.now}
        self.store.change(put, Silence(id=f"s{self.now}", matchers=matchers, **times), self.now)
        self.restart()

    def close(self):
        self.store.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def read(self, *ratios, after=ROUND, down=False):
        """What is told when the cards are that full ``after`` seconds; a card of None is not on the page."""
        self.now += after
        rows = [({"gpu": str(number), "uuid": f"GPU-{number}"}, ratio) for number, ratio in enumerate(ratios)]
        found = tuple(Sample(label_set(OWN | labels), ratio) for labels, ratio in rows if ratio is not None)
        samples = {"up": (Sample(label_set(OWN), float(not down)),)} | (
            {} if down else {"gpu_memory_used_ratio": found}
        )
        error = "refused" if down else None
        scrape = Scrape("", OWN["job"], OWN["instance"], self.now, error, MappingProxyType(samples))
        changes = judge(self.rules, [scrape], self.decisions.states, self.now, max_gap=2 * ROUND)
        asyncio.run(self.decisions.commit(changes, [scrape], now=self.now))
        before = {item.id for item in self.told}
        news = [item for item in self.store.uncomposed() if item.id not in before]
        self.told += news
        return [(item.reason, item.alertname) for item in news]

    def go_on(self, *ratios, seconds, every=60.0):
        """What is told while the cards stay so full for ``seconds``."""
        return [found for _ in range(round(seconds / every)) for found in self.read(*ratios, after=every)]
