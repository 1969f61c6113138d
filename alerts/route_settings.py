"""Who is told of which alerts: the entries of ``alerter.routes``, with their own check."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import get_args

from alerts.channels import COMMAND_PREFIX
from alerts.expressions import ExpressionError
from alerts.mail_settings import split_address
from alerts.matchers import Matcher, parse_matcher
from alerts.notify.notification import Severity
from alerts.notify_settings import repeat_problem
from gpuwarden.documents import nearest
from gpuwarden.units import Duration

_matcher = lru_cache(maxsize=1024)(parse_matcher)
"""Settings are read anew at each decision, and an expression is costly to compile."""

_SEVERITIES: tuple[str, ...] = get_args(Severity)


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteSettings:
    """One entry of ``alerter.routes``; an alert takes the first that means it."""

    where: Mapping[str, str] = field(default_factory=dict[str, str])
    """Labels of the alerts that are meant, as in a rule, `alertname` and `severity` among them; without, all."""
    to: tuple[str, ...] = ()
    """Who gets the mails, instead of `alerter.mail.to`."""
    commands: tuple[str, ...] = ()
    """Names of `alerter.commands` that are run."""
    repeat: Duration | None = None
    """After how long it is told again while it goes on, instead of what is set by severity; `0` is never."""
    continue_: bool = False
    """Whether later routes are asked too."""

    @property
    def recipients(self) -> tuple[str, ...]:
        """Who is told."""
        return (*self.to, *(f"{COMMAND_PREFIX}{name}" for name in self.commands))

    @property
    def matchers(self) -> tuple[Matcher, ...]:
        """``where`` as it is asked; raises ExpressionError for what ``problems`` names."""
        return tuple(_matcher(label, text) for label, text in self.where.items())

    def problems(self) -> Iterator[tuple[str, str, str]]:
        """What the types cannot say: (key, message, hint)."""
        for label, text in self.where.items():
            try:
                matcher = parse_matcher(label, text)
            except ExpressionError as error:
                yield f"where.{label}", str(error), error.hint
            else:
                if label == "severity" and not any(map(matcher.accepts, _SEVERITIES)):
                    hint = nearest(text, _SEVERITIES) or f"severities are {', '.join(_SEVERITIES)}"
                    yield "where.severity", "is never true", hint
        if not self.recipients:
            yield "to", "is missing: the route tells nobody", "to: [me@example.com], or commands"
        for recipient in self.to:
            if split_address(recipient) is None:
                yield "to", f"{recipient!r} is not a mail address", "me@example.com or Name <me@example.com>"
        if self.repeat is not None and (found := repeat_problem(self.repeat)):
            yield "repeat", *found


def unknown_commands(
    routes: Sequence[RouteSettings], reported_to: Sequence[str], known: Collection[str]
) -> Iterator[tuple[str, str, str]]:
    """Mistakes of the routes and of ``report.to`` that name a command which there is not: (key, message, hint)."""
    named = [(f"routes.{number}.commands", name) for number, route in enumerate(routes) for name in route.commands]
    reports = [to.removeprefix(COMMAND_PREFIX) for to in reported_to if to.startswith(COMMAND_PREFIX)]
    for key, name in (*named, *(("report.to", name) for name in reports)):
        if name not in known:
            hint = nearest(name, known) or "define it under alerter.commands"
            yield key, f"{name!r} is not the name of a command", hint
