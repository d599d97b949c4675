"""What unflat reaches, measured: ``python -m benchmarks`` from the repository's root. No part of the package."""
