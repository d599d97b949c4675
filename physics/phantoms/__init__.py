"""Simulated specimens of known truth: cells, crystals and red blood cells."""
