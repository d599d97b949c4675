"""Withheld views and batches: reproducible from a seed, every view equally often, withheld ones never."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from unflat.recon.optimize.minibatches import FEWEST_VIEWS, batch_views, withheld_views

seeds = st.integers(0, 2**31)
counts = st.integers(1, 300)
fractions = st.floats(0, 0.9)


@given(counts, fractions, seeds)
def test_number_of_withheld_views_follows_the_fraction(views: int, fraction: float, seed: int) -> None:
    held = withheld_views(views, fraction, seed)
    assert np.all(np.diff(held) > 0)
    assert len(held) == 0 or (held.min() >= 0 and held.max() < views)
    assert len(held) < views
    count = round(fraction * views)
    if 0 < count < views:
        assert len(held) == count
    elif fraction > 0 and views >= FEWEST_VIEWS:
        assert len(held) == 1
    else:
        assert len(held) == 0


@given(st.integers(10, 300), st.floats(0.05, 0.5), seeds)
def test_withheld_views_are_spread_over_the_acquisition(views: int, fraction: float, seed: int) -> None:
    """Gaps between withheld views, cyclically, differ from the mean gap by less than about one view."""
    held = withheld_views(views, fraction, seed)
    gaps = np.diff(np.append(held, held[0] + views))
    assert gaps.max() <= np.ceil(views / len(held)) + 1
    assert gaps.min() >= np.floor(views / len(held)) - 1


@given(st.integers(2, 40), fractions, st.integers(1, 12), seeds)
@settings(max_examples=50)
def test_batches_contain_no_withheld_views_and_all_others_equally_often(
    views: int, fraction: float, batch: int, seed: int
) -> None:
    held = withheld_views(views, fraction, seed)
    trained = np.setdiff1d(np.arange(views), held)
    steps = len(trained)  # as many steps as views: a whole number of epochs
    seen = np.concatenate([batch_views(step, trained, batch, seed) for step in range(steps)])
    assert not np.isin(seen, held).any()
    times = np.bincount(seen, minlength=views)[trained]
    np.testing.assert_array_equal(times, min(batch, len(trained)))


@given(st.integers(0, 10_000), st.integers(1, 60), st.integers(1, 12), seeds)
@settings(max_examples=50)
def test_batch_depends_on_step_and_seed_alone(step: int, views: int, batch: int, seed: int) -> None:
    """A resumed run needs no batch of an earlier step."""
    trained = np.arange(views) * 2
    first, again = (batch_views(step, trained, batch, seed) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert len(first) == min(batch, views)
    assert np.isin(first, trained).all()


@given(st.integers(2, 30), seeds)
@settings(max_examples=30)
def test_an_epoch_contains_every_view_once(views: int, seed: int) -> None:
    trained = np.arange(views)
    epochs = [[int(batch_views(e * views + i, trained, 1, seed)[0]) for i in range(views)] for e in range(2)]
    for epoch in epochs:
        assert sorted(epoch) == list(range(views))


def test_seeds_and_epochs_differ() -> None:
    trained = np.arange(40)
    epochs = [batch_views(e, trained, 40, 0).tolist() for e in range(3)]
    assert epochs[0] != epochs[1] != epochs[2]
    assert batch_views(0, trained, 40, 1).tolist() != epochs[0]
    assert {tuple(withheld_views(100, 0.08, seed)) for seed in range(8)} != {tuple(withheld_views(100, 0.08, 0))}
