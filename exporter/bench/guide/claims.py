"""All claims, in the order of the table, and the runs that belong to none."""

from exporter.bench.claim import Claim
from exporter.bench.guide.claims_cnn import CNN_CLAIMS
from exporter.bench.guide.claims_gpt import GPT_CLAIMS
from exporter.bench.guide.runs import SPARE
from exporter.bench.guide.scenarios import SCENARIOS
from exporter.bench.guide.scenarios_gpt import GPT_SPARE

CLAIMS: tuple[Claim, ...] = (*CNN_CLAIMS, *GPT_CLAIMS, *SCENARIOS)
SPARE_RUNS = (*SPARE, *GPT_SPARE)
