"""Morphology of a specimen, without a truth: its surface, and features of its shape."""
