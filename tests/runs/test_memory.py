"""Amounts of memory as messages show them."""

import pytest

from unflat.recon.memory import format_bytes


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (512, "512 B"),
        (1.5 * 2**30, "1.5 GiB"),
        (1020.3 * 2**20, "1020 MiB"),
        (999.7 * 2**20, "1000 MiB"),
        (733 * 2**20, "733 MiB"),
    ],
)
def test_no_amount_of_memory_is_a_power_of_ten(count: float, text: str) -> None:
    assert format_bytes(count) == text
