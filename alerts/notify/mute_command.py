"""The command that silences an alert, ready to be pasted from its mail into a shell. Pure.

It names the alert by its name and the fewest labels that stay as they are, as ``suggestion`` does: a card by its
``uuid``, what belongs to a host by ``instance``. They are called as in the alert that Alertmanager holds
(``alert_labels``), so that the same line works whoever judges.

A label may hold anything, and its text is typed into somebody's shell: each word is quoted, a value that is not plain
is also quoted for the matcher, and where a label cannot be written on one line as it is there is no command at all. A
command that silences more than its mail is about would be worse than none.
"""

import re
import shlex
from collections.abc import Iterator, Mapping

from alerts.alert_labels import renamed_beside
from alerts.clean_text import one_line
from alerts.notify.notification import Notification, Reason
from alerts.rule import TARGET_LABELS, labels_of
from alerts.suggestion import CHANGES_BY_ITSELF, SAID_BY
from alerts.webhook import CUT

MUTED_FOR = "4h"

_FIRES: frozenset[Reason] = frozenset({"first", "repeat", "lowered", "flapping"})
_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_PLAIN = re.compile(r"[A-Za-z0-9_./:@%+,-]+")
_LONGEST_VALUE = 99
"""Longer ones may have been cut on their way here."""
_LONGEST_COMMAND = 600


def mute_command(notification: Notification) -> str:
    """``gpuwarden silence add ...`` for the alert of ``notification``; empty where there is nothing to silence."""
    if notification.reason not in _FIRES:
        return ""
    labels = dict(notification.labels)
    named = {"alertname": notification.alertname, **dict(_identity(notification, labels))}
    if CUT in labels or not all(map(_is_writable, named, named.values())):
        return ""
    words = [f"{name}={_value(text)}" for name, text in named.items()]
    command = shlex.join(["gpuwarden", "silence", "add", "--for", MUTED_FOR, *words])
    return command if len(command) <= _LONGEST_COMMAND else ""


def _identity(notification: Notification, labels: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """The labels that tell the alert from others of its name."""
    absent = notification.comparison == "absent"
    names = renamed_beside(notification.metric, notification.comparison)
    known = TARGET_LABELS if absent else labels_of(notification.metric)
    by_card = "uuid" in labels and not absent
    for name in sorted(labels, key=lambda name: (name not in {"uuid", "instance"}, name)):
        of_series = known is None or name in known
        said = SAID_BY.get(name, "") in labels or (name == "instance" and by_card)
        said |= name == "job" and (by_card or "instance" in labels)
        if of_series and not said and name not in CHANGES_BY_ITSELF:
            yield names.get(name, name), labels[name]


def _is_writable(name: str, text: str) -> bool:
    clean = text == one_line(text, _LONGEST_VALUE) and "\ufffd" not in text
    return bool(text) and clean and _NAME.fullmatch(name) is not None


def _value(text: str) -> str:
    """As a matcher has it: what is not plain stands in quotes, with Alertmanager's escapes."""
    if _PLAIN.fullmatch(text):
        return text
    return '"' + text.replace("\\", r"\\").replace('"', r"\"") + '"'
