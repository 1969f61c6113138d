"""The guide's scenarios: claims beside those of the first table.

To add one, write the runs and a ``Claim`` (exporter/bench/claim.py says what each part means), in a module of your
own where they are many, and put it into ``SCENARIOS``. Nothing else knows a claim by name: the plan, the table,
docs/bench.md and ``--list`` take them from here.

- A ``Run`` has a name of its own and the spec without ``device``. The card memory that it takes is reckoned from that
  (exporter/model_memory); ``mib`` says it, context included, of a run that is not reckoned there. ``on_cpu`` is a
  smaller run in its place without a card (None where that makes no sense); ``where="cpu"`` keeps a run on the processor
  always. ``tiny`` says what changes for ``--tiny``, where a model of another family than GPT-2 and ResNet needs a small
  stand-in: {"model": "mine-tiny"}.
- ``value`` is a function of the figures by the claim's own keys: ``lambda found: found["answer"]["answer_seconds"]``.
  A figure that is missing makes the claim "not measured (no_figure)".
- ``note`` says in one or two sentences where the reference is ill-defined or wrong, and what was taken instead.

After that: ``make generate`` writes docs/bench.md anew.
"""

from exporter.bench.claim import Claim
from exporter.bench.guide.scenarios_cnn import CNN_SCENARIOS
from exporter.bench.guide.scenarios_gpt import GPT_SCENARIOS

SCENARIOS: tuple[Claim, ...] = (*CNN_SCENARIOS, *GPT_SCENARIOS)
