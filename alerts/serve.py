"""Wires the alerter: state, rules, whoever decides, composer and outbox into the service, its web side in front."""

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import Callable, Collection

from alerts.composer import Composer
from alerts.decisions import Decisions
from alerts.delivery import TransportInForce, commands_for
from alerts.evidence.setup import EvidenceInForce
from alerts.in_force import InForce, Terms
from alerts.intake import WEBHOOK, refuse_open_webhook
from alerts.outbox import Outbox
from alerts.posts import Posts
from alerts.reconciler import Reconciler
from alerts.reload import Reload
from alerts.report.reporter import Reporter
from alerts.report.tally import WANTED
from alerts.rounds import Rounds
from alerts.scrape import without_userinfo
from alerts.service import Service
from alerts.settings import AlerterSettings
from alerts.silences import Silences
from alerts.store import Store
from alerts.web import application
from gpuwarden.lifecycle import run_until_stopped
from gpuwarden.listener import bind, serve, url_of
from gpuwarden.sparse_log import keep_sparse
from gpuwarden.web_files import WebFiles

_COMPLAINING = ("alerts.intake", "alerts.posts")
"""Whoever posts can make these log."""

_log = logging.getLogger(__name__)


def serve_alerter(settings: AlerterSettings, read_again: Callable[[], AlerterSettings]) -> None:
    """Judge and mail until SIGINT or SIGTERM; SIGHUP reads everything again, the settings by ``read_again``.

    Raises:
        AddressTakenError, DocumentError, StateInUseError, StoreUnavailableError, UserInputError: it cannot start.
    """
    in_force, web = InForce(Terms.read(settings)), WebFiles(settings.web_config)
    refuse_open_webhook(settings, web.current)
    listening = bind(settings.listen, "alerter")
    keep_sparse(_COMPLAINING)
    with Store.open(settings.state_folder) as store:
        _log.info("%s, with %d rules", judge_line(settings), len(in_force.rules))
        _log.info(mail_line(settings))
        service = _service(in_force, store)
        reload = Reload(in_force, web, read_again, service.outbox.resume)
        run_until_stopped(lambda stop: _main(service, reload, listening, web, stop))


def judge_line(settings: AlerterSettings) -> str:
    """Who decides, in one line."""
    if settings.judges_itself:
        return f"watching {', '.join(map(without_userinfo, settings.targets))}"
    url = settings.prometheus.url
    evidence = f"evidence from {without_userinfo(url)}" if url else "no evidence (alerter.prometheus.url is not set)"
    return f"Alertmanager judges: waiting for its posts on {WEBHOOK}, {evidence}"


def mail_line(settings: AlerterSettings) -> str:
    """Where mails go, in one line."""
    mail, folder = settings.delivery, settings.state_folder / "mail"
    if mail.host is None:
        why = "the demo never uses a mail server" if settings.demo else "no mail server is set (alerter.mail.host)"
        return f"{why}: mails go into the Maildir {folder}"
    second = f", else through {mail.fallback.address}" if mail.fallback.host else ""
    return f"mails go to {', '.join(mail.to)} through {mail.address} ({mail.security}){second}"


def _service(in_force: InForce, store: Store) -> Service:
    own = in_force.settings.judges_itself
    decisions = Decisions(store, in_force, Silences(store) if own else None)
    outbox = Outbox(
        store,
        TransportInForce(in_force),
        commands_for(in_force.settings.commands_in_force, in_force.settings.state_folder),
        workers=lambda: in_force.settings.delivery.connections,
    )
    reporter = Reporter(store, in_force, outbox.wake)
    decider = Rounds(decisions, in_force, observe=reporter.observe, observed=WANTED) if own else Posts(decisions)
    evidence = EvidenceInForce(in_force, decider.recorder if isinstance(decider, Rounds) else None)
    composer = Composer(store, decisions.told, in_force, outbox.wake, evidence.enrich, evidence.picture_of)
    beside = [evidence.prepare]
    if isinstance(decider, Posts):
        beside.append(Reconciler(in_force, decider, decisions).run)
    return Service(in_force, store, decisions, decider, composer, outbox, reporter=reporter, beside=beside)


async def _main(service: Service, reload: Reload, listening: socket.socket, web: WebFiles, stop: asyncio.Event) -> None:
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reload.ask)
    working = asyncio.create_task(service.run(reload.run))
    working.add_done_callback(lambda _: stop.set())
    _log.info("listening on %s", url_of(listening, web.scheme))

    def with_own_secret() -> Collection[str]:
        return [WEBHOOK] if service.settings.webhook.secret_file else []

    def asks() -> bool:
        return web.current.auth is not None or web.current.client_certificates

    await serve(application(service, asks), listening, stop, web=web, own_secret=with_own_secret)
    ended_by_itself = working.done()
    working.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await working
    if ended_by_itself:
        working.result()
