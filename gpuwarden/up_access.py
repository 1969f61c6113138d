"""Whether exporter and alerter side by side are let in at each other's pages, which may be behind TLS and passwords."""

import pathlib

from alerts.settings import AlerterSettings
from exporter.settings import ExporterSettings
from gpuwarden import settings
from gpuwarden.errors import UserInputError
from gpuwarden.web_config import load_web_config


class LockedOutError(UserInputError, ValueError):
    """The alerter could not read the page of the exporter beside it, or that page not the alerter's alerts."""


_LOCKED_OUT = (
    "the page is behind TLS or a password (exporter.web_config: {}), and the alerter is not told how to get in: set "
    "alerter.targets to the page as its certificate names it, for example https://box.example:9400/metrics, and what "
    "it needs of alerter.scrape.ca_file, cert_file, key_file, username and password_file"
)

_NO_ALERTS = (
    "the alerter is behind TLS or a password (alerter.web_config: {}), and the status page is not told how to ask it "
    "for alerts: set exporter.alerts_from to the alerter's page as its certificate names it, with name and password "
    "where it asks for them, https://NAME:PASSWORD@box.example:9401; the environment variable SSL_CERT_FILE names "
    "the certificate of an authority of your own"
)


def demands(web_config: str | None) -> tuple[bool, bool]:
    """Whether a page is behind TLS, and behind a password."""
    if web_config is None:
        return False, False
    config, _ = load_web_config(pathlib.Path(web_config))
    return config.tls_server_config is not None, bool(config.basic_auth_users)


def watches_our_page(exporter: ExporterSettings, alerter: settings.Loaded[AlerterSettings]) -> bool:
    """Whether the alerter is to be told where our page is; where it needs a key for it, the settings must tell.

    Raises:
        LockedOutError: the page asks for something, and the settings name no targets.
    """
    named = ("targets",) in alerter.origins
    if any(demands(exporter.web_config)):
        if not named and alerter.values.judges_itself:
            raise LockedOutError(_LOCKED_OUT.format(exporter.web_config))
        return False
    return alerter.values.demo or not named


def asks_our_alerter(exporter: settings.Loaded[ExporterSettings], alerter: AlerterSettings) -> bool:
    """Whether the exporter is to be told where our alerter is; where it needs a key, the settings must tell.

    Raises:
        LockedOutError: the alerter's page asks for something, and the settings name no place to ask for alerts.
    """
    if ("alerts_from",) in exporter.origins:
        return False
    if any(demands(alerter.web_config)):
        raise LockedOutError(_NO_ALERTS.format(alerter.web_config))
    return True
