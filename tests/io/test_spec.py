"""Spec files as they are found: several headers, scans that occur twice or are torn, lines of analysers."""

import numpy as np
import pytest

from unflat.recon.io.spec import SpecScan, split_scans
from unflat.recon.io.text_table import decode_text

HEAD = """#F /data/x.spec
#E 1600000000
#D Mon Nov  2 10:00:00 2020
#C run = 1 user = me
#O0 Two Theta  Theta  Chi
#O1 Energy
#o0 tth th chi
#o1 en
#J0 Seconds  Ion Chamber
#j0 sec ic

"""
SCAN = """#S 5 ascan  th 0.1 0.3 2 1
#D Mon Nov  2 10:01:00 2020
#T 1  (Seconds)
#G0 0 0 0
#Q 1 2 3
#P0 30 0.1 90
#P1 9
#N 3
#L Theta  Ion Chamber  Detector
0.1 1 10
0.2 2 20
0.3 3 30
"""
OTHER = "#S 4 ascan  th 0 1 2 1\n#P0 0 0 0\n#P1 8\n#N 2\n#L Theta  Detector\n0 1\n0.5\n\n"


def parse(text: str, number: int = 5) -> SpecScan:
    """Parse the last scan of a number."""
    return [scan for scan in split_scans(text) if scan.number == number][-1].parse()


def test_names_and_columns_may_hold_blanks() -> None:
    scan = parse(HEAD + SCAN)
    assert scan.motors == {"Two Theta": 30, "Theta": 0.1, "Chi": 90, "Energy": 9}
    assert list(scan.columns) == ["Theta", "Ion Chamber", "Detector"]
    assert scan.moving == ("Theta",)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param((HEAD + SCAN).replace("\n", "\r\n"), id="Windows"),
        pytest.param(HEAD + OTHER + SCAN, id="a torn scan before"),
        pytest.param(HEAD + SCAN + OTHER, id="a torn scan after"),
        pytest.param(HEAD + SCAN.replace("0.2 2", "@A 1 2\\\n 3 4\\\n 5\n@B 6\n0.2 2"), id="lines of an analyser"),
        pytest.param(HEAD + SCAN + "#C Mon Nov  2.  Scan aborted after 3 points.\n#R 5 1 2\n", id="aborted"),
        pytest.param(HEAD + SCAN.replace("Theta  Ion Chamber", "Theta\tIon Chamber\t"), id="tabs"),
        pytest.param(HEAD + SCAN + HEAD.replace("Theta  Chi", "Chi  Theta") + OTHER, id="a header after"),
        pytest.param(HEAD.replace("Two Theta", "Slit  Two Theta") + OTHER + HEAD + SCAN, id="two headers"),
        pytest.param(SCAN.replace("#P0", HEAD.split("2020\n")[1].split("#J")[0] + "#P0"), id="names in the scan"),
    ],
)
def test_the_wanted_scan_is_read_whatever_stands_around_it(text: str) -> None:
    scan = parse(text)
    assert scan.motors == {"Two Theta": 30, "Theta": 0.1, "Chi": 90, "Energy": 9}
    np.testing.assert_array_equal(scan.columns["Theta"], [0.1, 0.2, 0.3])
    np.testing.assert_array_equal(scan.columns["Detector"], [10, 20, 30])
    assert scan.moving == ("Theta",)


def test_names_one_blank_apart_are_divided_where_only_that_fits_the_numbers() -> None:
    head = HEAD.replace("Two Theta  Theta  Chi", "TwoTheta Theta Chi")
    scan = parse(head + SCAN.replace("#L Theta  Ion Chamber  Det", "#L Theta Ion Det"))
    assert scan.motors["Chi"] == 90
    assert list(scan.columns) == ["Theta", "Ion", "Detector"]


@pytest.mark.parametrize("between", ["", OTHER])
def test_a_header_without_short_names_ends_those_of_the_one_above(between: str) -> None:
    header = "#F y\n#O0 Chi  Theta  Two Theta\n#O1 Energy\n\n"
    scan = parse(HEAD + between + header + SCAN)
    assert scan.motors["Chi"] == 30
    assert scan.mnemonics == {}


def test_scans_of_one_number_are_counted() -> None:
    scans = split_scans(HEAD + SCAN + OTHER + SCAN.replace("0.3 3 30\n", ""))
    assert [(scan.label, scan.points) for scan in scans] == [("5.1", 3), ("4.1", 2), ("5.2", 2)]
    assert scans[2].date == "Mon Nov  2 10:01:00 2020"


@pytest.mark.parametrize(
    ("command", "moving"),
    [
        ("d2scan  th -0.1 0.1 tth -0.2 0.2 20 1", ("Theta", "Two Theta")),
        ("mesh  th 0 1 10 chi 89 91 5 1", ("Theta", "Chi")),
        ("timescan 1 0", ()),
        ("ascan  en 8.9 9.1 20 1", ("Energy",)),
    ],
)
def test_the_command_names_the_motors_that_move(command: str, moving: tuple[str, ...]) -> None:
    assert parse(HEAD + SCAN.replace("ascan  th 0.1 0.3 2 1", command)).moving == moving


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("0.3 3 30", "0.3 3"), r"scan 5, line 23: a row has 2 numbers, and there are 3 columns"),
        (("0.3 3 30", "0.3 three 30"), r"scan 5, line 23: '0\.3 three 30' is no row of numbers"),
        (("#P0 30 0.1 90", "#P0 30 0.1"), r"scan 5: #O0 names 3 motors, and #P0 has 2 positions"),
        (("#P1 9", "#P1 nine"), r"scan 5: a position in '#P1 nine' is no number"),
    ],
)
def test_faults_of_the_wanted_scan_are_named(change: tuple[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse(HEAD + SCAN.replace(*change))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1"])
def test_comments_may_be_in_any_usual_encoding(encoding: str) -> None:
    content = HEAD.replace("user = me", "user = Müller, 20 °C").encode(encoding) + SCAN.encode()
    assert parse(decode_text(content)).motors["Chi"] == 90
