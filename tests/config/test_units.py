"""Units in the spellings of files."""

import pytest

from unflat.recon.config.units import conversion_factor


@pytest.mark.parametrize(
    ("unit", "expected", "factor"),
    [
        ("micrometers", "m", 1e-6),
        ("Å", "m", 1e-10),
        ("A", "m", 1e-10),
        ("1/nm", "1/m", 1e9),
        ("Å⁻¹", "1/m", 1e10),
        ("nm**-1", "1/m", 1e9),
        ("keV", "J", 1.602176634e-16),
        ("photons", "counts", 1),
        ("a.u.", "1", 1),
        ("metre", "m", 1),
    ],
)
def test_spellings_of_files_are_converted(unit: str, expected: str, factor: float) -> None:
    assert conversion_factor(unit, expected) == pytest.approx(factor, rel=1e-12)


@pytest.mark.parametrize(("unit", "expected"), [("furlong", "m"), ("s", "m"), ("nm", "1/m"), ("eV", "m")])
def test_unknown_units_and_other_dimensions_are_refused(unit: str, expected: str) -> None:
    with pytest.raises(ValueError, match=f"'{unit}'"):
        conversion_factor(unit, expected)
