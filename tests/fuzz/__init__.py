"""Damaged files for every reader: made by code, mutated with a seed, read in workers with limits of time and memory.

``python -m tests.fuzz --count 1000 --seed 1`` prints the outcomes by reader. An input is numbered: the same number of
the same reader and seed is the same file.
"""
