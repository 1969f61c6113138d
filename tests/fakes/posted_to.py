"""What the alerter remembers from post to post, without its disk."""

import itertools

from alerts.judge_post import judge_post
from alerts.notify.due import notifications
from alerts.notify.mute import ended_lately, judged_elsewhere
from alerts.rules import SHIPPED, load_rules
from alerts.state import AlertKey
from alerts.webhook import parse_post
from tests.fakes.alertmanager_posts import payload

NOW = 1_800_000_000.0
RULES = load_rules(SHIPPED, [])
FOR = next(rule.for_ for rule in RULES if rule.alert == "GpuMemoryAlmostFull")
KEY = AlertKey("GpuMemoryAlmostFull", (("gpu", "0"), ("instance", "box:9400"), ("job", "gpuwarden"), ("uuid", "GPU-a")))


class Box:
    """What is remembered from post to post."""

    def __init__(self, rules=RULES):
        self.rules, self.states, self.ended, self.lately, self.now = rules, {}, {}, {}, NOW
        self._ids = (f"id{number}" for number in itertools.count(1))

    def post(self, *alerts, after=1.0, sender="http://one:9093"):
        """What is told because of these alerts."""
        self.now += after
        post = parse_post(payload(*alerts, externalURL=sender))
        changes, over = judge_post(post, self.rules, self.states, self.ended, self.now)
        self.lately = ended_lately(changes, self.lately, self.now)
        verdicts = judged_elsewhere(changes, lately=self.lately, states=self.states, rules=self.rules)
        told, changes = notifications(changes, (), ["me@example.com"], lambda: next(self._ids), verdicts=verdicts)
        for change in changes:
            self.states[change.key] = change.state
        self.states = {key: state for key, state in self.states.items() if state}
        self.ended |= over
        return told
