"""Where a mail points to: the dashboard at the time of the alert, and the exporter's status page. Pure.

Only http and https are linked to, and what came from outside stands in a URL only quoted. A page on loopback is not
linked to by itself: the mail is read elsewhere.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlencode, urlsplit

from alerts.evidence.points import shown_from
from alerts.notify.notification import Link, Notification
from alerts.placeholders import substitute
from alerts.scrape import instance_of, without_userinfo
from alerts.server_settings import is_loopback

WALL, MODELS = "gpuwarden-wall", "gpuwarden-models"
"""The uids of the dashboards that Grafana is provisioned with; what is about a model leads to the second."""
_AFTER_SECONDS = 300.0
_LONGEST = 1500
_VARIABLES = ("job", "instance", "gpu", "uuid", "model")


@dataclass(frozen=True, slots=True)
class LinkSettings:
    """What a user can set under ``alerter.links``."""

    grafana: str | None = None
    """Grafana as readers of mails reach it, `https://grafana.example.com`, or a dashboard of yours there."""
    status: str | None = None
    """The status page as they reach it, `http://{{ host }}:9400/`; `{{ host }}` and `{{ instance }}` are filled in."""

    def problems(self) -> Iterator[tuple[str, str, str]]:
        """What the types cannot say: (key, message, hint)."""
        for key, url in (("grafana", self.grafana), ("status", self.status)):
            if url is not None:
                try:
                    instance_of(substitute(url, {"host": "host", "instance": "host:9400"}))
                except ValueError as error:
                    yield key, str(error), "https://grafana.example.com" if key == "grafana" else "http://gpubox:9400/"


def links_of(notification: Notification, settings: LinkSettings, pages: Mapping[str, str]) -> tuple[Link, ...]:
    """The links of a mail; ``pages`` are status pages by instance, as far as they are known."""
    found = [*_grafana(notification, settings.grafana), *_status(notification, settings.status, pages)]
    return tuple(link for link in found if len(link.url) <= _LONGEST)


def pages_of(targets: Iterable[str]) -> dict[str, str]:
    """The front page beside each target, by instance; not those on loopback."""
    found: dict[str, str] = {}
    for target in targets:
        parts = urlsplit(without_userinfo(target))
        if not is_loopback(parts.hostname or "") and parts.path.rstrip("/") == "/metrics":
            found[instance_of(target)] = parts._replace(path="/", query="", fragment="").geturl()
    return found


def _grafana(notification: Notification, base: str | None) -> Iterator[Link]:
    if base is None:
        return
    own = "/d/" in urlsplit(base).path
    labels = dict(notification.labels)
    query = urlencode(
        {
            "from": round(shown_from(notification) * 1000),
            "to": round((notification.at + _AFTER_SECONDS) * 1000),
            # A dashboard without such a variable ignores it.
            **{f"var-{name}": labels[name] for name in _VARIABLES if labels.get(name)},
        }
    )
    url = base if own else f"{base.rstrip('/')}/d/{MODELS if labels.get('model') else WALL}"
    yield Link("Dashboard in Grafana", f"{url}{'&' if '?' in url else '?'}{query}")


def _status(notification: Notification, given: str | None, pages: Mapping[str, str]) -> Iterator[Link]:
    instance = dict(notification.labels).get("instance", "")
    if given is not None:
        words = {"host": notification.host.partition(":")[0], "instance": instance}
        yield Link("Status page", substitute(given, {name: quote(text, safe=":") for name, text in words.items()}))
    elif page := pages.get(instance):
        yield Link("Status page", page)
