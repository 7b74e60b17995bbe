"""Where the dashboard finds and puts things, and what it measures unless told."""

import pathlib

BENCHMARKS = pathlib.Path(__file__).resolve().parents[1]
ROOT = BENCHMARKS.parent
CONFIG = BENCHMARKS / "asv.conf.json"
RESULTS = BENCHMARKS / "results" / "asv"  # as the configuration says
OUTPUT = BENCHMARKS / ".asv" / "html"

# About two minutes a commit on one core.
BENCH = (r"^bench_history\.",)

# A ratio to a peer that grows by more than this is a regression.
FACTOR = 1.3
