"""Wires the alerter: state, rules, whoever decides, composer and outbox into the service, its web side in front."""

import asyncio
import contextlib
import logging
import signal
import socket

from alerts.alertmanager_api import AlertmanagerApi
from alerts.composer import Composer
from alerts.decisions import Decisions
from alerts.delivery import commands_for, transport_for
from alerts.evidence.prometheus import PrometheusEvidence
from alerts.outbox import Outbox
from alerts.posts import Posts
from alerts.reconciler import Reconciler
from alerts.rounds import Rounds
from alerts.rules import SHIPPED, load_rules
from alerts.scrape import without_userinfo
from alerts.service import Service
from alerts.settings import AlerterSettings
from alerts.silences import Silences
from alerts.store import Store
from alerts.web import application
from gpuwarden.lifecycle import run_until_stopped
from gpuwarden.listener import bind, serve, url_of
from gpuwarden.sparse_log import keep_sparse

_COMPLAINING = ("alerts.intake", "alerts.posts")
"""Whoever posts can make these log."""

_log = logging.getLogger(__name__)


def serve_alerter(settings: AlerterSettings) -> None:
    """Judge and mail until SIGINT or SIGTERM; SIGHUP rereads the rules.

    Raises:
        AddressTakenError, DocumentError, StateInUseError, StoreUnavailableError: it cannot start.
    """
    rules = load_rules(SHIPPED, settings.rule_files)
    listening = bind(settings.listen, "alerter")
    keep_sparse(_COMPLAINING)
    with Store.open(settings.state_folder) as store:
        _log.info("%s, with %d rules", judge_line(settings), len(rules))
        _log.info(mail_line(settings))
        silences = Silences(store) if settings.judges_itself else None
        recipients, simulated = settings.recipients, settings.all_simulated
        decisions = Decisions(store, rules, recipients, settings.policy, simulated=simulated, silences=silences)
        service = _service(settings, store, decisions)
        run_until_stopped(lambda stop: _main(service, listening, stop))


def judge_line(settings: AlerterSettings) -> str:
    """Who decides, in one line."""
    if settings.judges_itself:
        return f"watching {', '.join(map(without_userinfo, settings.targets))}"
    url = settings.prometheus.url
    evidence = f"evidence from {without_userinfo(url)}" if url else "no evidence (alerter.prometheus.url is not set)"
    return f"Alertmanager judges: waiting for its posts on /webhook, {evidence}"


def mail_line(settings: AlerterSettings) -> str:
    """Where mails go, in one line."""
    mail, folder = settings.delivery, settings.state_folder / "mail"
    if mail.host is None:
        why = "the demo never uses a mail server" if settings.demo else "no mail server is set (alerter.mail.host)"
        return f"{why}: mails go into the Maildir {folder}"
    second = f", else through {mail.fallback.address}" if mail.fallback.host else ""
    return f"mails go to {', '.join(mail.to)} through {mail.address} ({mail.security}){second}"


def _service(settings: AlerterSettings, store: Store, decisions: Decisions) -> Service:
    outbox = Outbox(
        store,
        transport_for(settings.delivery, settings.state_folder),
        commands_for(settings.commands_in_force, settings.state_folder),
        workers=settings.delivery.connections,
    )
    url, enrich, reconciler = settings.prometheus.url, None, None
    if settings.judges_itself:
        decider = Rounds(decisions, settings.targets, settings.interval, settings.scrape)
    else:
        decider = Posts(decisions)
        enrich = PrometheusEvidence(url, lambda: decisions.rules).enrich if url else None
        if settings.alertmanager.url:
            api = AlertmanagerApi(settings.alertmanager.url, settings.scrape)
            reconciler = Reconciler(api, decider, decisions, settings.alertmanager.ask_after)
    pace = settings.notify.digest.pace
    composer = Composer(store, decisions.told, settings.delivery, outbox.wake, enrich, pace=pace)
    return Service(settings, store, decisions, decider, composer, outbox, reconciler=reconciler)


async def _main(service: Service, listening: socket.socket, stop: asyncio.Event) -> None:
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, service.reload_rules)
    working = asyncio.create_task(service.run())
    working.add_done_callback(lambda _: stop.set())
    _log.info("listening on %s", url_of(listening))
    await serve(application(service), listening, stop)
    ended_by_itself = working.done()
    working.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await working
    if ended_by_itself:
        working.result()
