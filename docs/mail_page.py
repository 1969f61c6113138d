"""The page about mail is written by hand, but for one table: how an attempt can end."""

import pathlib
import re

from reference import table

from alerts.outcome_words import MEANINGS, consequence, fallback_takes_it

_BEGIN = "<!-- outcomes: made by docs/remake.py from the code -->"
_END = "<!-- end of outcomes -->"


def mail_page() -> str:
    """The page as it is, with that table made anew."""
    text = (pathlib.Path(__file__).parent / "mail.md").read_text()
    rows = (
        (f"`{outcome}`", meaning, consequence(outcome), "takes it" if fallback_takes_it(outcome) else "")
        for outcome, meaning in MEANINGS.items()
    )
    made = table(("outcome", "the server or command", "what follows", "a second server"), rows)
    pattern = re.compile(f"{re.escape(_BEGIN)}.*?{re.escape(_END)}", re.DOTALL)
    return pattern.sub(lambda _: f"{_BEGIN}\n{made}\n{_END}", text)
