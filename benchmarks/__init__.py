"""Benchmarks of unflat: ``python -m benchmarks`` in the root of the repository. They are not part of the package."""
