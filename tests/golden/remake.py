"""Write the golden files anew: ``python -m tests.golden.remake``; then read the difference before you commit it."""

import os
import time
from pathlib import Path

from alerts.compose_digest import compose_digest
from alerts.plot import picture
from alerts.prometheus_rules import rule_file
from alerts.rules import SHIPPED, load_rules
from tests.golden.example_cards import PAGES
from tests.golden.example_digests import AT, DIGESTS
from tests.golden.example_mails import DRAWINGS, EXAMPLES, SETTINGS, mail
from tests.golden.example_reports import REPORTS
from tests.golden.test_bench import FOLDER as BENCH
from tests.golden.test_bench import tables
from tests.golden.test_mails import report
from tests.golden.test_status import page

MAILS = Path(__file__).parent / "mails"
STATUS = Path(__file__).parent / "status"
PROMETHEUS = Path(__file__).parent / "prometheus"


def main() -> None:
    """Remake every golden mail, status page and bench table, in UTC, and Prometheus's rules, shipped and overridden."""
    os.environ["TZ"] = "UTC"
    time.tzset()
    for name, drawing in DRAWINGS.items():
        (MAILS / f"{name}.png").write_bytes(picture(drawing))
    for name in EXAMPLES:
        (MAILS / f"{name}.eml").write_bytes(mail(name).data)
    for name, group in DIGESTS.items():
        (MAILS / f"{name}.eml").write_bytes(compose_digest(group, SETTINGS, AT).data)
    for name, facts in REPORTS.items():
        (MAILS / f"{name}.eml").write_bytes(report(facts).data)
    for name, known in PAGES.items():
        (STATUS / f"{name}.html").write_text(page(known), "utf-8")
    for name, text in tables().items():
        (BENCH / name).write_text(text, "utf-8")
    for name, files in {"gpuwarden": [], "overrides": [PROMETHEUS / "overrides.yml"]}.items():
        (PROMETHEUS / f"{name}.rules.yml").write_text(rule_file(load_rules(SHIPPED, files)), "utf-8")


if __name__ == "__main__":
    main()
