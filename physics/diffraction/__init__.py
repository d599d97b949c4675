"""Diffraction of a crystal: far field, matrix DFT and Bragg geometry."""
