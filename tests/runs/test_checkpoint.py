"""Checkpoints are read bit by bit, and damaged ones are ignored."""

import logging
from datetime import UTC, datetime
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

import unflat
from unflat.recon.runs import Checkpoint
from unflat.recon.runs.checkpoint import latest_checkpoint, read_checkpoint, write_checkpoint


@given(
    st.dictionaries(
        st.sampled_from(["a", "b/c", "b/d", "scale"]),
        st.sampled_from([np.float32, np.int64, np.complex64, np.bool_, np.uint32]).flatmap(
            lambda dtype: arrays(dtype, array_shapes(min_dims=0, max_dims=3, max_side=4, min_side=0))
        ),
        max_size=3,
    ),
    st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5) | st.floats(allow_nan=False)),
)
@settings(max_examples=20, deadline=None)
def test_a_checkpoint_is_read_bit_by_bit(
    tmp_path_factory: pytest.TempPathFactory, state: dict[str, np.ndarray], metadata: dict[str, object]
) -> None:
    folder = tmp_path_factory.mktemp("checkpoint")
    again = read_checkpoint(write_checkpoint(folder, Checkpoint(7, state, metadata)))
    assert (again.step, again.metadata) == (7, metadata)
    assert again.arrays.keys() == state.keys()
    for name, array in state.items():
        assert again.arrays[name].dtype == array.dtype
        assert again.arrays[name].shape == array.shape
        assert again.arrays[name].tobytes() == array.tobytes()


def test_a_checkpoint_has_the_root_attributes_of_every_file(tmp_path: Path) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    with h5py.File(write_checkpoint(tmp_path, Checkpoint(1, {"w": np.ones(2)}))) as file:
        assert (file.attrs["format"].decode(), file.attrs["format_version"].decode()) == ("unflat-checkpoint", "1.0")
        assert file.attrs["creator"].decode() == f"unflat {unflat.__version__}"
        assert before <= datetime.fromisoformat(file.attrs["created"].decode()) <= datetime.now(UTC)
        assert file.attrs["NX_class"].decode() == "NXroot"
        assert file.attrs["default"] in file


@pytest.mark.parametrize("damage", ["cut", "flip", "empty"])
def test_a_damaged_checkpoint_is_ignored_for_the_one_before(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    for step in (10, 20, 30):
        newest = write_checkpoint(tmp_path, Checkpoint(step, {"w": np.full(500, float(step))}))
    assert len(list(tmp_path.iterdir())) == 2
    content = bytearray(newest.read_bytes())
    flipped = content.replace(np.float64(30).tobytes() * 10, np.float64(31).tobytes() * 10, 1)
    newest.write_bytes({"cut": content[:-1000], "flip": flipped, "empty": b""}[damage])
    with caplog.at_level(logging.WARNING):
        checkpoint = latest_checkpoint(tmp_path)
    assert checkpoint is not None
    assert checkpoint.step == 20
    write_checkpoint(tmp_path, Checkpoint(25, {}))
    assert sorted(f.name for f in tmp_path.iterdir()) == ["step-000000020.h5", "step-000000025.h5"]
