"""`harness roi-encode` as a user types it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.clips import write_clip
from tests.helpers.commands import run
from tests.helpers.schemas import checked


def test_a_name_is_printed_whole_whatever_brackets_it_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_clip(tmp_path / "clip.y4m", frames=2)
    out = f"[x264] [bold]{'long ' * 20}[/] o.mkv"
    done = run("roi-encode", "clip.y4m", "--model", "centre-prior", "--preset", "ultrafast", "-o", out)
    assert done.exit_code == 0, done.output
    assert f"{out}: 2 frames, " in done.output.splitlines()[-2]


def test_json_has_the_offsets_and_the_quality_by_decile(tmp_path: Path) -> None:
    clip, out = write_clip(tmp_path / "clip.y4m", frames=2), tmp_path / "out.mkv"
    done = run("roi-encode", clip, "--model", "centre-prior", "--preset", "ultrafast", "-o", out, "--json")
    (found,) = checked("roi-encode", done.output)["encodes"]
    assert (found["knob"], found["law"]) == ("strength:4", "centre:0.5/2")
    assert found["path"] == str(out) and found["proof"]["plain_bytes"] > 0
    for row in found["proof"]["deciles"]:
        assert row["offset_lowest"] <= row["offset_qp"] <= row["offset_highest"]
        assert row["psnr_plain"] > 0 and row["psnr_roi"] > 0 and row["qp_plain"] > 0 and row["qp_roi"] > 0


@pytest.mark.slow
def test_what_probes_would_find_is_said_beforehand_and_what_they_found_afterwards(tmp_path: Path) -> None:
    clip, out = write_clip(tmp_path / "clip.y4m", (192, 128), frames=8), tmp_path / "out.mkv"
    how = ["roi-encode", clip, "--model", "centre-prior", "--preset", "ultrafast", "-o", out]
    words = [*how, "--target", "vmaf=70", "--strength", "auto", "--budget", "vmaf=5"]
    dry = run(*words, "--dry-run")
    checked("roi-encode", run(*words, "--dry-run", "--json").output)
    assert "first 8 of its frames would be encoded several times" in dry.output
    assert "has vmaf=70, then the strength that pays vmaf=5 there" in dry.output and not out.exists()
    sought = checked("roi-encode", run(*words, "--json").output)["encodes"][0]["tuned"]
    assert (sought["target"], sought["budget"], sought["frames"]) == ("vmaf=70", "vmaf=5", 8)
    assert sought["vmaf"] >= 70 and 0 < sought["strength"] <= 12 and sought["seconds"] > 0
    said = run(*how, "--target", "vmaf=70").output
    assert "probes: 8 frames encoded " in said and f"vmaf=70: CRF {sought['crf']:g}, at which they have" in said
    refused = run(*how, "--budget", "vmaf=1")
    assert "with --strength auto" in str(refused.exception)
