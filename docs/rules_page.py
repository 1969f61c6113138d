"""The reference page of the rules: those that are shipped, in words, and the language in which they are written."""

import re

from reference import MADE, docstring, table

from alerts import rule_test_file
from alerts.explain import condition, facts
from alerts.override_text import override_text
from alerts.placeholders import MEANINGS
from alerts.prometheus_rules import DIFFERENCES
from alerts.rule_file import Definition, Override
from alerts.rule_test_values import NOTATION
from alerts.rules import SHIPPED, Part, load_parts
from gpuwarden.structure import keys_of

_INTRODUCTION = """\
A rule compares one series with one number. These are shipped; change them in a file of your own (`--rules FILE` or
`alerter.rules`), where everything that an override does not name stays as it is:

```yaml
rules:
  - override: GpuMemoryAlmostFull
    where: {gpu: "1"}   # only this card; without it, all
    above: 0.97
  - override: HostFilesystemAlmostFull
    enabled: false
```

`gpuwarden rules check FILE` names every mistake (in an `expr` too, where promtool is on the PATH), `rules list` shows
what is in force, `rules explain NAME` says of one rule what stands here, with your changes, and `rules test FILE` tries
the rules on series that you write.
"""
_LANGUAGE = """\
A file is a list under the key `rules`. An entry with `alert` defines a rule, one with `override` changes a rule that is
defined above it or shipped. An entry needs one of `above`, `below`, `equals`, `absent`, `within` and `older`.
"""
_PLACEHOLDERS = """\
In `summary` and `action`, `{{ gpu }}` stands for the label `gpu` of the series, and so does every other label of it,
`job` and `instance`. Besides them:
"""
_PROMETHEUS = """\
`gpuwarden generate` and `gpuwarden rules prometheus` write the same rules for Prometheus. They fire and end at the same
moments as without it, but for this:
"""
_TESTS = """\
`gpuwarden rules test FILE...` runs the rules in force (`--config`, `--rules`) on the series of a file, and compares
when they fire. It ends with exit status 1 when a test fails, with 2 when a file is wrong. With `--promtool`, promtool
of Prometheus runs the same tests on the generated rules. What it is given is printed by
`gpuwarden rules prometheus --tests FILE` and `gpuwarden rules prometheus --no-annotations`.
"""


def rules_page() -> str:
    """Every shipped rule, and how to write one."""
    parts = load_parts(SHIPPED, ())
    names = ((f"[{part.rule.alert}](#{part.rule.alert.lower()})", _short(part), part.rule.severity) for part in parts)
    sections = {
        "Shipped rules": table(("rule", "fires when", "severity"), names),
        "The language": f"{_LANGUAGE}\n{_keys()}",
        "Placeholders": _PLACEHOLDERS
        + "\n"
        + "\n".join(f"- `{{{{ {word} }}}}`: {MEANINGS[word]}" for word in MEANINGS),
        "The same rules in Prometheus": f"{_PROMETHEUS}\n{DIFFERENCES}".rstrip(),
        "Testing rules": f"{_TESTS}\n{_tests()}",
    }
    shipped, *others = (f"## {title}\n\n{text}\n" for title, text in sections.items())
    return "\n".join([f"# Rules\n\n{MADE}\n\n{_INTRODUCTION}", shipped, *map(_rule, parts), *others])


def _short(part: Part) -> str:
    return f"`{condition(part.rule)}`" + ("" if part.enabled else " (off)")


def _rule(part: Part) -> str:
    """One rule: what it does as a list, then what the mail says of it, and why."""
    said = {fact.topic: fact.text for fact in facts(part.rule, enabled=part.enabled)}
    texts = [said.pop(topic, "") for topic in ("why", "says", "advises", "not wanted")]
    lines = "\n".join(f"- {topic}: {text}" for topic, text in said.items())
    why, summary, action, skip_when = texts
    paragraphs = (why, lines, f"> {summary}", action, f"Not wanted: {skip_when}" if skip_when else "")
    body = "\n\n".join(paragraph for paragraph in paragraphs if paragraph)
    return f"### {part.rule.alert}\n\n{body}\n\n```yaml\n{override_text(part.rule, enabled=part.enabled)}```\n"


def _keys() -> str:
    first = ["alert", "override", "enabled", "metric", "expr", "unit"]
    fields = {**keys_of(Override), **keys_of(Definition)}
    changeable = keys_of(Override)
    rows = (
        (
            f"`{key}`",
            "yes" if key in changeable else "",
            docstring(Override if key == "override" else Definition, fields[key]),
        )
        for key in sorted(fields, key=lambda key: first.index(key) if key in first else len(first))
    )
    return table(("key", "in an override", "meaning"), rows)


def _tests() -> str:
    """The format of a file of tests, as its reader's docstring tells it."""
    text = re.sub(r"``(.+?)``", r"`\1`", (rule_test_file.__doc__ or "").partition("\n\n")[2])
    values = table(("value", "samples"), NOTATION.items())
    return f"{text.replace('`rule_test_values`', 'see below').strip(chr(10))}\n\n{values}"
