"""Wires the alerter: state, rules, rounds and outbox into the service, and its health behind the listener."""

import asyncio
import contextlib
import logging
import signal
import socket

from alerts.delivery import transport_for
from alerts.outbox import Outbox
from alerts.rounds import Rounds
from alerts.rules import load_rules
from alerts.scrape import without_userinfo
from alerts.service import Service
from alerts.settings import SHIPPED_RULES, AlerterSettings
from alerts.store import Store
from alerts.web import application
from gpuwarden.lifecycle import run_until_stopped
from gpuwarden.listener import bind, serve, url_of

_log = logging.getLogger(__name__)


def serve_alerter(settings: AlerterSettings) -> None:
    """Judge and mail until SIGINT or SIGTERM; SIGHUP rereads the rules.

    Raises:
        AddressTakenError, DocumentError, StateInUseError, StoreUnavailableError: it cannot start.
    """
    rules = load_rules(SHIPPED_RULES, settings.rule_files)
    listening = bind(settings.listen, "alerter")
    with Store.open(settings.state_folder) as store:
        _log.info("watching %s with %d rules", ", ".join(map(without_userinfo, settings.targets)), len(rules))
        _log.info(mail_line(settings))
        recipients = settings.delivery.recipients
        rounds = Rounds(store, rules, settings.targets, settings.interval, recipients)
        outbox = Outbox(store, transport_for(settings.delivery, settings.state_folder))
        run_until_stopped(lambda stop: _main(Service(settings, store, rounds, outbox), listening, stop))


def mail_line(settings: AlerterSettings) -> str:
    """Where mails go, in one line."""
    mail, folder = settings.delivery, settings.state_folder / "mail"
    if mail.host is None:
        why = "the demo never uses a mail server" if settings.demo else "no mail server is set (alerter.mail.host)"
        return f"{why}: mails go into the Maildir {folder}"
    return f"mails go to {', '.join(mail.to)} through {mail.host}:{mail.port} ({mail.security})"


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
