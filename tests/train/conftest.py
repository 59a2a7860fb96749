"""Small folds: a run in a test validates on 16 pictures, not 64."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from train import data


@pytest.fixture(scope="package", autouse=True)
def small_folds() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data, "FEWEST_HELD", 16)
        yield
