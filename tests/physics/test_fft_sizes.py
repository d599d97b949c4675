"""Sizes of arrays: even, with small prime factors, and the nearest there are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unflat.physics.fft_sizes import next_even_size, previous_even_size


def is_smooth(size: int, primes: tuple[int, ...]) -> bool:
    for prime in primes:
        while size % prime == 0:
            size //= prime
    return size == 1


@given(st.floats(1.5, 5000))
def test_the_next_size_is_the_smallest_that_holds_a_length(at_least: float) -> None:
    size = next_even_size(at_least)
    assert size >= at_least - 1e-9
    assert size % 2 == 0
    assert is_smooth(size, (2, 3, 5))
    assert not any(is_smooth(n, (2, 3, 5)) for n in range(size - 2, 0, -2) if n >= at_least)


@given(st.integers(8, 300), st.integers(1, 12))
def test_the_previous_size_is_the_largest_multiple_within_a_length(quotient: int, multiple: int) -> None:
    at_most = quotient * multiple
    size = previous_even_size(at_most, multiple)
    assert size <= at_most
    assert size % (2 * multiple) == 0
    assert is_smooth(size // multiple, (2, 3, 5, 7))
    larger = range(size + 2 * multiple, at_most + 1, 2 * multiple)
    assert not any(is_smooth(n // multiple, (2, 3, 5, 7)) for n in larger)


@pytest.mark.parametrize(("at_least", "size"), [(0, 2), (1, 2), (7, 8), (8 + 1e-10, 8), (14, 16), (22, 24), (121, 128)])
def test_next_sizes(at_least: float, size: int) -> None:
    assert next_even_size(at_least) == size


@pytest.mark.parametrize(("at_most", "multiple", "size"), [(22, 1, 20), (128, 1, 128), (66, 3, 60), (3, 4, 3)])
def test_previous_sizes(at_most: int, multiple: int, size: int) -> None:
    assert previous_even_size(at_most, multiple) == size
