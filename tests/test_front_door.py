"""What `import harness` offers: every name is there, says what goes in and comes out, and stands in docs/api.md."""

from __future__ import annotations

import inspect

import pytest

import harness
from tests.helpers import ROOT

FUNCTIONS = sorted(name for name in harness.__all__ if inspect.isfunction(getattr(harness, name)))


@pytest.mark.parametrize("name", harness.__all__)
def test_every_name_is_there_and_says_what_it_is(name: str) -> None:
    found = getattr(harness, name)
    assert name == "__version__" or (found.__doc__ and found.__name__ == name)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_says_what_goes_in_what_comes_out_and_what_is_raised(name: str) -> None:
    function = getattr(harness, name)
    said = inspect.getdoc(function) or ""
    assert all(f"{part}:\n" in said for part in ("Args", "Returns", "Raises"))
    assert not [argument for argument in inspect.signature(function).parameters if f"    {argument}: " not in said]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_is_shown_on_real_input(name: str) -> None:
    assert f"harness.{name}(" in (ROOT / "docs" / "api.md").read_text(encoding="utf-8")


def test_the_package_offers_nothing_else() -> None:
    with pytest.raises(AttributeError, match="nothing"):
        _ = harness.nothing
    assert set(harness.__all__) <= set(dir(harness))
