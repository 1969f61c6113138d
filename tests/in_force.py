"""What is in force in a test of one part: rules, recipients, and whatever settings the test is about."""

from alerts.in_force import InForce, Terms
from alerts.mail_settings import MailSettings
from alerts.settings import AlerterSettings


def in_force(rules=(), recipients=(), mail=None, **settings):
    """The terms that a component under test goes by."""
    mail = mail or MailSettings(to=tuple(recipients))
    return InForce(Terms(AlerterSettings(mail=mail, **settings), tuple(rules)))
