"""Text tables: delimiters, decimal commas, heads, units, and lines that fit no table."""

import numpy as np
import pytest

from unflat.recon.io.table_lines import divide_head, parse_columns


@pytest.mark.parametrize(
    "text",
    [
        "1.5,20\n2.5,30\n",
        "1.5, 20,\n2.5, 30,\n",
        "1,5;20\n2,5;30\n",
        "1,5 20\n2,5 30\n",
        "1.5\t20\r\n2.5\t30\r\n",
        "  1.5   20\n\n  2.5   30  # a remark",
        "x,y\n1.5,20\n2.5,30",
        "x;y\n1.5;20\n2.5;30",
        "# made by a program\n# x y\n1.50e+00 2.0e1\n2.5 3.0D1\n",
        "% x, y\n1.5 20\n2.5 30",
        "Date: Mon 2 Nov\n\nx [um]\ty\n1.5\t20\n2.5\t30",
        "x;y\nmm;deg\n1.5;20\n2.5;30",
    ],
)
def test_every_usual_table_gives_the_same_numbers(text: str) -> None:
    columns = parse_columns(text)
    np.testing.assert_array_equal([column.values for column in columns], [[1.5, 2.5], [20, 30]])
    assert [column.name for column in columns] in (["x", "y"], ["", ""])


@pytest.mark.parametrize(
    ("head", "name", "unit"),
    [
        ("angle [deg]", "angle", "deg"),
        ("z (um)", "z", "um"),
        ("z/um", "z", "um"),
        ("angle in degrees", "angle", "degrees"),
        ("z_um", "z_um", "um"),
        ("I/I0", "I/I0", ""),
        ("count (a.b.c)", "count (a.b.c)", ""),
        ("led_id", "led_id", ""),
        ("x [furlong]", "x", "furlong"),
    ],
)
def test_units_of_heads(head: str, name: str, unit: str) -> None:
    assert divide_head(head) == (name, unit)


def test_units_stand_in_the_line_below_the_names_or_in_a_comment() -> None:
    assert [c.unit for c in parse_columns("x;y\nmm;deg\n1.5;20\n")] == ["mm", "deg"]
    assert [c.unit for c in parse_columns("# angle [deg]  z [um]\n1 2\n")] == ["deg", "um"]
    assert [c.unit for c in parse_columns("# angle in deg\n1\n2\n")] == ["deg"]


def test_missing_numbers_are_no_numbers_and_text_stays_text() -> None:
    name, number = parse_columns("name,n\na.tif,\nb.tif,3\n")
    assert name.values.tolist() == ["a.tif", "b.tif"]
    np.testing.assert_array_equal(number.values, [np.nan, 3])


@pytest.mark.parametrize("text", ["1 2 3\n4 5\n6 7 8", "3\n1 2 3\n4 5 6", "a,b,c\n1,2,3\n4,5\n"])
def test_a_line_that_does_not_fit_is_quoted(text: str) -> None:
    with pytest.raises(ValueError, match=r"line \d holds \d values? and others \d: '"):
        parse_columns(text)


def test_points_and_commas_in_one_table_are_no_decimal_commas() -> None:
    assert parse_columns("1,234 5\n1.5 3")[0].values.dtype.kind == "U"
