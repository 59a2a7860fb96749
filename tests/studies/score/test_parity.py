"""Native logs beside the embedded extractor."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from corpora.synth import ClipOptions, write_clips
from harness.errors import HarnessError, InputError
from harness.media.open import open_clip
from harness.models.session import load_model
from harness.saliency.feature import extract
from harness.studies.score.parity import Case, parity
from tests.helpers.commands import run
from tests.helpers.processor import AVX512
from tests.helpers.schemas import checked


@pytest.mark.slow
def test_golden_logs_agree(shared: Path, tmp_path: Path) -> None:
    golden = shared / "golden" / "libby.640x360.crf34"
    weights = shared / "weights" / "upstream_saliency_student_v1.onnx"
    words = ["--log", f"{golden}.upstream_v1.json", "--distorted", f"{golden}.mp4", "--model", str(weights)]
    done = run("parity", *words, "--json", "--out", tmp_path)
    (row,) = checked("parity", done.stdout)["rows"]
    assert row["max_abs_diff"] <= (5.1e-7 if AVX512 else 6e-7)
    assert row["frames_equal_as_printed"] >= row["frames"] - (0 if AVX512 else 2)
    assert row["plcc"] == pytest.approx(1) and "libby" in (tmp_path / "native.md").read_text()


def test_a_frame_that_differs_shows(tmp_path: Path) -> None:
    write_clips(tmp_path / "clips", ClipOptions(count=1, size=(64, 48), frames=4))
    (clip,) = sorted((tmp_path / "clips").rglob("*.y4m"))
    model = load_model("mobilesal_placeholder_v0")
    means = [round(sample.means[0], 6) for sample in extract(open_clip(str(clip)), [model])]

    def log(values: list[float]) -> Path:
        frames = [{"frameNum": n, "metrics": {"saliency_mean": value}} for n, value in enumerate(values)]
        (tmp_path / "native.json").write_text(json.dumps({"version": "3.2", "frames": frames}))
        return tmp_path / "native.json"

    (same,) = parity([Case(log(means), str(clip), model)]).to_dict("records")
    assert same["frames_equal_as_printed"] == 4 and same["max_abs_diff"] < 6e-7 and same["libvmaf"] == "3.2"
    (other,) = parity([Case(log([*means[:3], means[3] + 0.01]), str(clip), model)]).to_dict("records")
    assert other["frames_equal_as_printed"] == 3 and other["max_abs_diff"] == pytest.approx(0.01, abs=1e-6)
    with pytest.raises(InputError, match=r"3 frames, .* has 4 \(must be equal\)"):
        parity([Case(log(means[:3]), str(clip), model)])
    (tmp_path / "list.json").write_text("[]")
    with pytest.raises(InputError, match="0 frames"):
        parity([Case(tmp_path / "list.json", str(clip), model)])
    with pytest.raises(HarnessError):
        parity([Case(log([*means[:3], float("nan")]), str(clip), model)])
