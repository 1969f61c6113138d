from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from exporter.bench.fit.assessment import assess, known_runs, outline_runs
from exporter.bench.fit.cards import CardMemory, card_of_size
from exporter.bench.fit.outline import INT4, INT8, Outline, answering_outline
from exporter.bench.fit.verdict import judge, largest
from exporter.model_memory.answering import FP16, FP32, MIB

SIZES = st.integers(1, 2**40)
COUNTS = st.integers(1, 4096)
KNOWN = (*known_runs(), *known_runs(optimizer="sgd", checkpointing=True), *known_runs(optimizer="adamw"))


@st.composite
def outlines(draw):
    heads = draw(st.sampled_from([1, 2, 8, 32, 40]))
    width = heads * draw(st.sampled_from([64, 128, 256]))
    kv_heads = draw(st.sampled_from([0, *(count for count in (1, 2, 4, 8) if heads % count == 0)]))
    layers = draw(st.integers(1, 100))
    least = Outline(0, layers, width, heads, kv_heads).attention * layers
    return Outline(least + draw(st.integers(0, 10**12)), layers, width, heads, kv_heads)


RUNS = st.one_of(
    st.sampled_from(KNOWN),
    outlines().flatmap(lambda shape: st.sampled_from(outline_runs(shape, 1, 2048))),
)


@given(RUNS, COUNTS, COUNTS, st.integers(0, 64), st.integers(0, 64))
def test_more_at_once_or_longer_never_takes_less(run, batch, positions, further, longer):
    """The largest batch and context that are told would not be the largest."""
    less = run.need(batch, positions)[0].total

    assert run.need(batch + further, positions + longer)[0].total >= less


@given(outlines(), st.integers(0, 10**12), st.sampled_from([FP16, INT8, INT4]), COUNTS, COUNTS)
def test_more_parameters_never_take_less(shape, more, precision, batch, positions):
    """A larger model would be told to fit where a smaller one does not."""
    larger = replace(shape, parameters=shape.parameters + more)

    assert (
        answering_outline(larger, precision, batch, positions).total
        >= answering_outline(shape, precision, batch, positions).total
    )


@given(outlines(), COUNTS, COUNTS)
def test_fewer_bits_never_take_more_for_the_weights(shape, batch, positions):
    """A user would quantize a model and need more memory for it."""
    whole, eight, four = (answering_outline(shape, each, batch, positions).weights for each in (FP16, INT8, INT4))

    assert whole >= eight >= four
    assert answering_outline(shape, FP32, batch, positions).weights == 2 * whole


@given(RUNS, SIZES, st.integers(0, 2**31))
def test_what_is_said_to_fit_does_by_its_own_sum(run, total, context):
    """A user would take the batch that he is told and run out of memory by the same arithmetic."""
    card = card_of_size(total + 2**30)
    found = assess(run, card, context)
    free = card.empty_bytes

    assert found.parts.total == run.need(run.batch, run.positions)[0].total + context
    assert found.if_empty.judged == judge(found.parts.total, free)
    told = [(found.if_empty.batch, lambda count: run.need(count, run.positions)[0].total + context)]
    if found.if_empty.positions is not None:
        told.append((found.if_empty.positions, lambda count: run.need(run.batch, count)[0].total + context))
    for most, need in told:
        assert most.fits <= most.tight
        assert not most.fits or judge(need(most.fits), free).verdict == "fits"
        assert not most.tight or judge(need(most.tight), free).left_bytes >= 0
        at_the_end = run.most_positions == most.tight and run.positions
        assert at_the_end or most.tight >= 2**24 or judge(need(most.tight + 1), free).verdict == "does not fit"


@given(RUNS, SIZES, st.floats(0, 1))
def test_what_fits_now_fits_the_empty_card(run, total, share):
    """A user would be told to end other programs and then that it does not fit."""
    empty = card_of_size(total + 2**30)
    card = CardMemory("x", empty.total_bytes, empty.reserved_bytes, True, int(share * empty.empty_bytes))
    found = assess(run, card, 500 * MIB)

    assert found.now.judged.left_bytes <= found.if_empty.judged.left_bytes
    assert found.now.batch.fits <= found.if_empty.batch.fits
    assert found.now.judged.verdict != "fits" or found.if_empty.judged.verdict == "fits"


@given(st.integers(1, 10**9), st.integers(0, 10**15), st.integers(1, 10**6))
def test_the_largest_is_the_last_of_all_that_fit(each, free, most):
    """The search would stop too early or go too far."""
    found = largest(lambda count: count * each, free, most)

    assert found.tight == min(most, free // each)


@given(SIZES)
def test_programs_never_have_all_of_a_card(total):
    """The driver's own memory would be promised to a program."""
    assert 0 <= card_of_size(total).empty_bytes < total
