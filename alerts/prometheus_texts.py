"""A rule's texts as Prometheus annotations: ``{{ gpu }}`` becomes ``{{ $labels.gpu }}``.

They are for those who read alerts in Prometheus or mail them with Alertmanager; our own mails come from the rule.
Values are printed by Prometheus's own functions, which come as close to ``units`` as they can. ``value`` is the raw
number for the alerter's webhook; it is NaN while an alert is held without a reading. Nothing that changes from one
evaluation to the next may become a label: it would make a new alert each time.
"""

from collections.abc import Callable, Mapping

from alerts.placeholders import placeholders, substitute
from alerts.rule import Rule
from gpuwarden.units import Unit, format_value

HEADER = "# made by gpuwarden generate; do not edit\n"
ONE_LINE = 100_000
"""Characters of a line of YAML, so that texts are not folded."""

_VALUES: dict[Unit, str] = {
    "ratio": "{{ humanizePercentage $value }}",
    "bytes": "{{ humanize1024 $value }}B",
    "bytes_per_second": "{{ humanize1024 $value }}B/s",
    "celsius": '{{ printf "%.0f" $value }} °C',
    "watts": '{{ printf "%.0f" $value }} W',
    "joules": "{{ humanize $value }}J",
    "hertz": "{{ humanize $value }}Hz",
    "seconds": "{{ humanizeDuration $value }}",
    "timestamp": "{{ humanizeTimestamp $value }}",
    "bool": "{{ if eq $value 1.0 }}yes{{ else }}no{{ end }}",
    "count": '{{ printf "%g" $value }}',
}
_HOST = (
    '{{ with printf "host_info{job=%q,instance=%q}" $labels.job $labels.instance | query }}'
    '{{ . | first | label "hostname" }}{{ else }}{{ $labels.instance }}{{ end }}'
)


def annotations(rule: Rule, renamed: Mapping[str, str]) -> dict[str, str]:
    """``summary``, ``action`` where there is one, and ``value``.

    ``renamed`` says what a label of the metric is called in the alert, where that is not its own name.
    """
    words: dict[str, Callable[[], str]] = {
        "value": lambda: f"{{{{ if ne $value $value }}}}unknown{{{{ else }}}}{_VALUES[rule.unit]}{{{{ end }}}}",
        "threshold": lambda: format_value(rule.threshold, rule.unit),
        "host": lambda: _HOST,
    }
    texts = {"summary": rule.summary, "action": rule.action}
    made = {
        key: substitute(
            text,
            {
                word: words[word]() if word in words else f"{{{{ $labels.{renamed.get(word, word)} }}}}"
                for word in placeholders(text)
            },
        ).strip()
        for key, text in texts.items()
        if text.strip()
    }
    return {**made, "value": "{{ $value }}"}
