"""asv suites, and commands that print tables: ``python -m benchmarks.<name>``."""
