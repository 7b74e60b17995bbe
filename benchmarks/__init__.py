"""An asv suite in bench_*.py, and tables by ``python -m benchmarks.<name>``."""
