"""Measures this machine against what Amelia is built for: ``python -m benchmarks``."""
