from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.mail_subject import SUBJECT_LIMIT, subject_of
from alerts.mail_view import view_of
from alerts.notify.due import texts
from alerts.notify.notification import Graver
from alerts.rules import SHIPPED, load_rules
from tests.golden.example_mails import CHINESE, FIRING, GONE, LOWERED
from tests.property.test_compose_mail import NASTY

RULES = load_rules(SHIPPED, [])
WORDS = {"gpu": "0", "fan": "0", "mig": "1/0", "xid": "79", "mountpoint": "/data", "workload": "gpt", "model": "gpt2"}
WORDS |= {"model_name": "Llama-3.1-8B", "operation": "generate", "outcome": "error", "source": "nvml/2"}
WORDS |= {"instance": "gpubox:9400"}


def subject(summary, host="gpubox", badge="WARNING", **changes):
    return subject_of(badge, summary, host, replace(FIRING, **changes))


@pytest.mark.parametrize("simulated", [False, True])
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.alert)
def test_each_shipped_rule_says_what_and_where_on_a_lock_screen(rule, simulated):
    """Somebody woken at night would have to unlock the phone to learn which machine it is."""
    summary, _ = texts(rule, rule.threshold + 0.01, "gpubox", WORDS)
    said = subject(summary, badge=rule.severity.upper(), simulated=simulated)

    assert len(said) <= SUBJECT_LIMIT
    assert said.startswith(f"[SIMULATED] [{rule.severity.upper()}] " if simulated else f"[{rule.severity.upper()}] ")
    assert "gpubox" in said
    assert said.count("…") <= 1


@pytest.mark.parametrize(
    ("summary", "said"),
    [
        ("GPU 2 memory is 96.1 % full", "[WARNING] GPU 2 memory is 96.1 % full on gpubox"),
        ("Nothing can be read from gpubox:9400", "[WARNING] Nothing can be read from gpubox:9400"),
        (
            "GPU 0 waits for a reset to take a bad memory row out of use",
            "[WARNING] GPU 0 waits for a reset to take a bad… on gpubox",
        ),
        (
            "GPU 0 is slowed down by heat for a part of the time, 10.3 % of it",
            "[WARNING] GPU 0 is slowed down by heat for a part… on gpubox",
        ),
        (
            "The workload named trainer takes 103.5 % of its share",
            "[WARNING] The workload named trainer takes… on gpubox",
        ),
        ("x" * 200, f"[WARNING] {'x' * 39}… on gpubox"),
        ("", "[WARNING]  on gpubox"),
    ],
)
def test_a_summary_is_cut_where_a_reader_would(summary, said):
    """The subject would end in half a word, or in a number without its unit."""
    assert subject(summary) == " ".join(said.split())


@pytest.mark.parametrize(
    ("host", "end"),
    [
        ("node17.cluster.example.com", " on node17"),
        ("127.0.0.1:9400", " on 127.0.0.1:9400"),
        ("[2001:db8::1]:9400", " on [2001:db8::1]:9400"),
        ("a-very-long-host-name-without-dots", " on a-very-long-host-na…"),
        ("图形工作站", " on 图形工作站"),
    ],
)
def test_a_long_host_is_called_by_its_own_name(host, end):
    """A domain that all machines share would take the place of what happened."""
    assert subject("GPU 2 memory is 96.1 % full", host).endswith(end)


def test_why_it_is_over_is_said_in_a_word():
    """Somebody reads RESOLVED on a phone and starts the next job on a card that is in a drawer."""
    assert view_of(GONE).subject == "[RESOLVED] GPU 2 memory is 41.2 % full on gpubox, gone"
    assert view_of(LOWERED).subject == "[WARNING] GPU 2 memory is 84.0 %… on gpubox, was critical"
    short = replace(LOWERED, summary="GPU 2 is hot")
    assert view_of(short).subject == "[WARNING] GPU 2 is hot on gpubox, no longer critical"
    other = replace(short, graver=Graver("GpuLost", "critical", 1.0, 2.0, "gpu_up"))
    assert view_of(other).subject == "[WARNING] GPU 2 is hot on gpubox, GpuLost is over"


def test_chinese_is_cut_between_its_words_or_characters():
    """A Chinese mail would have an empty subject, or broken characters."""
    assert (
        view_of(CHINESE).subject
        == "[WARNING] 显卡 2 的显存已使用 96.1 % 请尽快处理 否则下一次分配内存会失败 on 图形工作站"
    )
    assert subject("显" * 100) == f"[WARNING] {'显' * 39}… on gpubox"


@given(
    NASTY.map(lambda text: " ".join(text.split())),
    NASTY.map(lambda text: " ".join(text.split())),
    st.booleans(),
    st.booleans(),
)
def test_any_subject_keeps_its_marks_and_its_limit(summary, host, simulated, gone):
    """A name from outside could push the mark of simulation, or the severity, out of sight."""
    said = subject(summary, host, badge="RESOLVED", simulated=simulated, gone=gone)
    assert len(said) <= SUBJECT_LIMIT
    assert said.startswith("[SIMULATED] [RESOLVED]" if simulated else "[RESOLVED]")
