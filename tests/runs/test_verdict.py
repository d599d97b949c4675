"""Tests of verdicts: their order, their words, and their round trip through files."""

import json
from pathlib import Path

import numpy as np

from unflat.recon.io.hdf5_common import text_of
from unflat.recon.io.safe_hdf5 import new_hdf5, set_root_attributes
from unflat.recon.io.seal import is_intact
from unflat.recon.runs.verdict import Reason, Soundness, Verdict

DOUBT = Reason("starts-disagree", "the solutions agree by 0.71 only", "use more starts")
FATAL = Reason("empty", "the result is empty", fatal=True)


def test_the_gravest_reason_decides_and_stands_first() -> None:
    assert Verdict.of([]).soundness is Soundness.SOUND
    assert Verdict.of([DOUBT]).soundness is Soundness.DOUBTFUL
    verdict = Verdict.of([DOUBT, FATAL])
    assert verdict.soundness is Soundness.FAILED
    assert verdict.reasons == (FATAL, DOUBT)
    assert str(verdict) == "failed; the result is empty; the solutions agree by 0.71 only: use more starts"


def test_a_verdict_comes_back_from_json_and_what_is_none_does_not() -> None:
    verdict = Verdict.of([DOUBT, FATAL])
    assert Verdict.from_json(json.loads(json.dumps(verdict.to_json()))) == verdict
    for content in ({}, {"verdict": "sound"}, {"verdict": "sound", "verdict_reasons": [{"title": "?"}]}):
        assert Verdict.from_json(content) is None


def test_attributes_are_added_to_a_sealed_file_without_touching_its_arrays(tmp_path: Path) -> None:
    import h5py

    path, array = tmp_path / "model.h5", np.arange(1000.0)
    with new_hdf5(path) as file:
        file["array"] = array
    set_root_attributes(path, Verdict.of([DOUBT]).attributes())
    assert is_intact(path)
    with h5py.File(path) as file:
        texts = [text_of(file.attrs[name]) for name in ("verdict", "verdict_reasons")]
        assert texts == ["doubtful", str(DOUBT)]
        assert np.array_equal(file["array"][()], array)
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.h5"]


def test_a_doubt_of_some_quantities_alone_leaves_the_result_standing() -> None:
    limited = Reason("strain-in-noise", "the strain is within its noise", limited_to="strain")
    assert Verdict.of([]).holds
    assert Verdict.of([limited]).holds
    assert Verdict.of([limited]).soundness is Soundness.DOUBTFUL
    assert not Verdict.of([limited, DOUBT]).holds
    old = {"verdict": "doubtful", "verdict_reasons": [{"name": "a", "text": "b", "remedy": "", "fatal": False}]}
    assert not Verdict.from_json(old).holds  # type: ignore[union-attr]
