"""Write the golden files anew: ``python -m tests.golden.remake``; then read the difference before you commit it."""

import os
import time
from pathlib import Path

from alerts.compose_mail import compose
from tests.golden.example_mails import EXAMPLES, SETTINGS

MAILS = Path(__file__).parent / "mails"


def main() -> None:
    """Remake every golden mail, in UTC."""
    os.environ["TZ"] = "UTC"
    time.tzset()
    for name, notification in EXAMPLES.items():
        (MAILS / f"{name}.eml").write_bytes(compose(notification, SETTINGS).data)


if __name__ == "__main__":
    main()
