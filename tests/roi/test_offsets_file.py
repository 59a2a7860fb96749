"""Encoders that read offsets from a file: through FFmpeg, and by their own program."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from harness.errors import InputError
from harness.media.open import open_clip
from harness.roi.encoders import Settings, find_encoder
from harness.roi.proof import probe
from tests.helpers.clips import write_clip
from tests.helpers.roi import run


@pytest.mark.skipif(not shutil.which("SvtAv1EncApp"), reason="no SvtAv1EncApp on PATH")
def test_svtav1s_own_program_follows_a_map_and_keeps_the_colours(tmp_path: Path) -> None:
    found = probe(find_encoder("SvtAv1EncApp"), Settings(preset="10"))
    assert found.favoured > 1.1 * found.plain > 1.1 * found.disfavoured
    clip = write_clip(tmp_path / "clip.mkv", size=(320, 192), audio=True)
    result = run(clip, tmp_path / "out.mp4", "SvtAv1EncApp", settings=Settings(crf=40, preset="10"))
    assert open_clip(result.path).info.audio == 1
    assert result.proof.finer_psnr_change > result.proof.coarser_psnr_change + 0.5
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip.mkv", "out.mp4"]
    with pytest.raises(InputError, match=r"positive offsets from a finer CRF.*--crf of at least \d"):
        run(clip, tmp_path / "no.mkv", "SvtAv1EncApp", settings=Settings(crf=2, preset="10"))


def test_svtav1s_own_program_is_refused_where_it_is_absent_or_too_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match=r"no program SvtAv1EncApp on PATH .*--export-map svtav1:PATH"):
        probe(find_encoder("SvtAv1EncApp"), Settings())
    old = tmp_path / "SvtAv1EncApp"
    old.write_text("#!/bin/sh\necho --crf\n")
    old.chmod(0o755)
    with pytest.raises(InputError, match=r"SvtAv1EncApp knows no --roi-map-file .needs a later version"):
        probe(find_encoder("SvtAv1EncApp"), Settings())
