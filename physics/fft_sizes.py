"""Even numbers of samples that the FFT transforms quickly, by scipy's tables."""

from math import ceil

from scipy.fft import next_fast_len, prev_fast_len


def next_even_size(at_least: float) -> int:
    """Find the smallest even size with no prime factors but 2, 3 and 5.

    Args:
        at_least: Smallest size allowed; rounded up but for 1e-9, so that a quotient's rounding adds no sample.
    """
    half = ceil(ceil(at_least - 1e-9) / 2)
    return 2 * int(next_fast_len(max(half, 1), real=True))


def previous_even_size(at_most: int, multiple: int = 1) -> int:
    """Find the largest even multiple of a number with no other prime factors but 2, 3, 5 and 7.

    Args:
        at_most: Largest size allowed; returned as it is where no such multiple is as small.
        multiple: Number that divides the size, such as a binning; half of the quotient has the small prime factors.
    """
    half = at_most // (2 * multiple)
    while half > 0:
        half = int(prev_fast_len(half))
        if half % 11:  # scipy's complex transforms have a kernel for 11 too
            return 2 * half * multiple
        half -= 1
    return at_most
