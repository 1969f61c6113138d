"""Every dashboard as the text of its file: ``python -m dashboards.generate`` remakes ``dashboards/generated/``."""

import json
import pathlib
from collections.abc import Sequence

from alerts.rules import SHIPPED, Rule, load_rules
from dashboards.classic import classic
from dashboards.models import models
from dashboards.wall import wall

GENERATED = pathlib.Path(__file__).with_name("generated")


def generate(rules: Sequence[Rule]) -> dict[str, str]:
    """File name to final JSON text for Grafana's file provisioning; the same rules give the same bytes."""
    return {
        f"{name}.json": json.dumps(classic(make(rules)), indent=2, sort_keys=True, ensure_ascii=False) + "\n"
        for name, make in (("models", models), ("wall", wall))
    }


def main() -> None:
    """Write the dashboards of the shipped rules, which are committed."""
    GENERATED.mkdir(exist_ok=True)
    for name, text in generate(load_rules(SHIPPED, [])).items():
        (GENERATED / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
