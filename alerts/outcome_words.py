"""How an attempt can end, in words: for the command ``outbox show`` and the reference page. Pure."""

from collections.abc import Mapping

from alerts.fallback import UNUSABLE
from alerts.retries import EXPIRY_SECONDS, judge
from alerts.transport import CONFIGURATION, Outcome

MEANINGS: Mapping[Outcome, str] = {
    "accepted": "the server said 250 to the end of the mail; a command ended with exit status 0",
    "deferred": "the server said 4xx (busy, greylisting, out of space); a command ended with 75 or by a signal",
    "refused": "the server said 5xx about this recipient or this mail; a command ended with another exit status",
    "login_refused": "530, 534, 535, 538, or any 5xx to the login: user, password or token are not accepted",
    "sender_refused": "5xx to the sender: this account may not send as the address in `from`",
    "server_refused": "5xx as greeting or to EHLO: the server talks to nobody from here",
    "tls_failed": "no STARTTLS on offer, a certificate of another name or authority, or one whose time is over",
    "misconfigured": "a file that the settings name cannot be read, a program not be run, a command is not there",
    "unreachable": "no address, nobody listens, or the connection broke before the end of the mail",
    "timeout": "no answer in time; a command was killed",
    "ambiguous": "silence after the end of the mail: the server may have it or not",
    "unwritable": "the Maildir could not be written",
    "failed": "a fault of gpuwarden's; the log has more",
    "expired": "given up after the last of many attempts",
}


def consequence(outcome: Outcome) -> str:
    """What follows from such an attempt."""
    if outcome == "accepted":
        return "delivered"
    days = f"{EXPIRY_SECONDS / 3600:g} hours"
    if outcome == "expired" or judge(outcome, 1, 0.0, 0.0, 0.5).state == "dead":
        return "a dead letter"
    if outcome in CONFIGURATION:
        return f"nothing more goes this way until it is tried again; each mail is kept for {days}"
    return f"tried again, for {days}"


def fallback_takes_it(outcome: Outcome) -> bool:
    """Whether the second server is asked at once."""
    return outcome in UNUSABLE
