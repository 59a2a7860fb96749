"""With --keep-going what cannot be measured is left out for all, named, and changes no number of the others."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from corpora.loader import pairs_in
from harness.errors import HarnessError
from harness.studies.eval import run as module
from harness.studies.eval.run import evaluate_pairs
from harness.tables import read_table
from tests.helpers.commands import run
from tests.helpers.discs import copied


@pytest.fixture
def damaged(folder: Path, tmp_path: Path) -> Path:
    """The discs with a picture that is none, and a folder of maps that lacks one and has one that is none."""
    root = copied(folder, tmp_path)
    (root / "images/01.png").write_bytes(b"no picture")
    (root / "maps/02.png").write_bytes(b"no map")
    (root / "maps/03.png").unlink()
    return root


@pytest.mark.parametrize("chunk", [2, 25])
def test_the_others_have_the_numbers_that_they_have_alone(
    damaged: Path, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    monkeypatch.setattr(module, "CHUNK", chunk)
    pairs = pairs_in(damaged / "images", damaged / "masks")
    heard: dict[str, str] = {}
    models = ["centre-prior", str(damaged / "model.onnx")]
    found = evaluate_pairs(models, {"discs": pairs}, failed=heard.__setitem__)
    assert list(heard) == ["discs/01"] and "cannot be decoded" in heard["discs/01"]
    alone = evaluate_pairs(models, {"discs": [pair for pair in pairs if pair.name != "01"]})
    pd.testing.assert_frame_equal(found.rows, alone.rows)
    assert found.table()["images"].tolist() == ["4/5", "4/5"] and list(found.digests) == ["discs without 1"]


def test_a_model_that_measures_nothing_is_left_out_and_not_all_images(
    damaged: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken(module.MapFolder):
        def open(self, threads: int) -> object:  # type: ignore[override]
            raise HarnessError("it does not open")

    broken = Broken("broken", damaged, "0" * 64, {}, "")
    heard: dict[str, str] = {}
    discs = {"discs": pairs_in(damaged / "images", damaged / "masks")}
    found = evaluate_pairs(["centre-prior", broken], discs, failed=heard.__setitem__)
    assert set(heard) == {"broken", "discs/01"} and "it does not open" in heard["broken"]
    assert found.table()["model"].tolist() == ["centre-prior"]
    with pytest.raises(HarnessError, match=r"nothing is left to measure: .*it does not open"):
        evaluate_pairs([broken], discs, failed=heard.__setitem__)


@pytest.mark.slow
def test_the_command_says_what_is_left_out_and_exits_1(damaged: Path) -> None:
    own = ["--images", damaged / "images", "--masks", damaged / "masks", "--name", "discs", "--maps", damaged / "maps"]
    words = ["eval", *own, "--model", "centre-prior", "--out", damaged / "out"]
    stopped = run(*words)
    assert stopped.exit_code and not (damaged / "out").exists()
    done = run(*words, "--keep-going")
    assert done.exit_code == 1, done.output
    assert "harness: 3 left out, all else is finished" in done.stderr
    table = read_table(damaged / "out/summary.csv")
    assert table.rows["images"].tolist() == ["2/5", "2/5"] and table.command.endswith(
        f"--keep-going --out {damaged}/out"
    )
    for name in ("01", "02", "03"):
        assert sum(note.startswith(f"Left out: discs/{name} (") for note in table.notes) == 1
        assert f"harness: discs/{name} is left out: " in done.stderr
    assert "PARTIAL: 2 of the 5 images of discs" in table.notes
