"""Previews of the model of a fit that goes on."""

import logging

import pytest

from unflat.recon.model import Model
from unflat.recon.optimize import model_preview
from unflat.recon.optimize.model_preview import ModelPreview


def test_a_fault_of_a_preview_ends_the_previews_and_not_the_fit(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tries: list[int] = []

    def build() -> Model:
        tries.append(1)
        raise MemoryError("RESOURCE_EXHAUSTED: 3 GiB")

    monkeypatch.setattr(model_preview, "INTERVAL", 0.0)
    preview = ModelPreview(build, lambda _model: pytest.fail("there is no model"))
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            preview.offer()
    assert len(tries) == 1
    assert [record.message for record in caplog.records] == [
        "no more previews of the model: MemoryError: RESOURCE_EXHAUSTED: 3 GiB"
    ]
