"""The probe for repeatable bytes sees an encoder that reads memory nobody wrote."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from harness.errors import HarnessError
from harness.media.x264 import without_avx512
from harness.roi.encoders import Settings
from harness.roi.repeats import repeats, unsteady_note


@pytest.mark.slow
def test_what_is_shipped_repeats() -> None:
    assert repeats(["libx264", "libx265"], Settings(preset="veryfast")) == {"libx264": True, "libx265": True}
    assert unsteady_note(["libx264"], Settings(preset="veryfast")) == ()


@pytest.mark.slow
@pytest.mark.skipif(not without_avx512(), reason="x264 finds no AVX-512 here")
def test_x264_with_avx512_is_found_out() -> None:
    forced = Settings(options=(("x264-params", f"{without_avx512()},AVX512"),))
    assert repeats(["libx264"], forced) == {"libx264": False}
    assert "libx264 did not give the same bytes" in unsteady_note(["libx264"], forced)[0]


@pytest.mark.slow
def test_a_probe_that_fails_says_why(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match=re.escape("the probe of libx264 failed")):
        repeats(["libx264"], Settings(options=(("no-such-option", "1"),)))
