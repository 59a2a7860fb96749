"""Other people's maps, sets and tables through `harness eval`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harness.errors import InputError
from harness.studies.eval.tools import find_tool
from tests.helpers import VECTORS
from tests.helpers.commands import run
from tests.oracle.sal_eval_toolbox import write

SIDE = 40


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """Four pairs, and square maps of a method that calls them its own way: a tenth of full white on the object."""
    root = tmp_path / "mine"
    for place in range(4):
        mask = np.zeros((SIDE, SIDE + 10 * place), np.uint8)
        mask[5:25, 5:20] = 255
        saliency = np.where(mask > 0, 60, 20).astype(np.uint8)
        for kind, name, pixels in (
            ("images", f"{place}.jpg", mask),
            ("masks", f"{place}.PNG", mask),
            ("maps", f"{place}_sal.png", saliency),
        ):
            (root / kind).mkdir(parents=True, exist_ok=True)
            picture = Image.fromarray(pixels)
            if kind == "maps":
                picture = picture.resize((SIDE, SIDE), Image.Resampling.NEAREST)
            picture.save(root / kind / name)
    return root


def words(mine: Path, *more: object) -> list[object]:
    return ["eval", "--images", mine / "images", "--masks", mine / "masks", "--maps", f"net={mine / 'maps'}", *more]


def test_a_set_and_maps_of_ones_own_need_no_manifest(mine: Path) -> None:
    done = run(*words(mine, "--json"))
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    (iou,) = [row for row in found["numbers"] if row["measure"] == "iou_mean@best"]
    assert (iou["split"], iou["images"]) == ("mine", "4/4") and iou["value"] > 0.8
    assert "mine: 4 of 4 pairs; 40x40 to 70x40 pixels" in done.stderr


@pytest.mark.slow
def test_maps_are_scaled_to_the_truth_and_the_table_says_so(mine: Path, tmp_path: Path) -> None:
    done = run(*words(mine, "--out", tmp_path / "out"))
    assert done.exit_code == 0, done.output
    assert "maps of net: 40x40" in " ".join(done.stdout.split()) and "map to truth size: bilinear" in done.stdout
    text = (tmp_path / "out/numbers.md").read_text()
    assert "--images" in text and "40x40" in text


@pytest.mark.slow
def test_a_papers_table_is_read_and_named_as_its_tool_does(mine: Path, tmp_path: Path) -> None:
    raw = json.loads(run(*words(mine, "--json")).stdout)
    by_hand = json.loads(run(*words(mine, "--minmax", "--truth-threshold", 128, "--json")).stdout)["numbers"]
    stretched = json.loads(run(*words(mine, "--as", "pysodmetrics", "--json")).stdout)["numbers"]
    assert stretched == by_hand != raw["numbers"]
    shown = run(*words(mine, "--as", "pysodmetrics", "--out", tmp_path / "out")).stdout
    assert all(name in shown for name in ("Smeasure", "wFmeasure", "meanEm", "maxFm")) and "maxf_mean" not in shown
    command = (tmp_path / "out/summary.md").read_text()
    assert "--as pysodmetrics" in command and "--minmax" not in command


def values_as(tool: str, mine: Path) -> dict[str, float]:
    numbers = json.loads(run(*words(mine, "--as", tool, "--json")).stdout)["numbers"]
    return {row["measure"]: row["value"] for row in numbers}


def test_the_truth_of_sal_eval_toolbox_begins_at_a_tenth(mine: Path) -> None:
    for path in (mine / "masks").iterdir():
        mask = np.asarray(Image.open(path)).copy()
        mask[mask > 0] = 26  # 26 / 255 >= 0.1, and not > 128
        mask[0, 0] = 255
        Image.fromarray(mask).save(path)
    ious = [values_as(tool, mine)["iou_mean@best"] for tool in ("sal-eval-toolbox", "pysodmetrics")]
    assert ious[0] > 0.8 > 0.1 > ious[1]


@pytest.mark.slow
def test_sal_eval_toolbox_is_repeated_to_every_digit_that_it_gave(tmp_path: Path) -> None:
    write(tmp_path)
    places = ["--images", tmp_path / "images", "--masks", tmp_path / "masks", "--maps", tmp_path / "the_maps_of_it"]
    numbers = json.loads(run("eval", *places, "--as", "sal-eval-toolbox", "--json").stdout)["numbers"]
    found = {row["measure"]: row["value"] for row in numbers}
    recorded = json.loads((VECTORS / "sal_eval_toolbox.json").read_text())
    names = find_tool("sal-eval-toolbox").names
    assert {name: found[key] for name, key in names.items()} == pytest.approx(recorded, abs=1e-8)


def test_numbers_over_fewer_images_say_over_how_many(mine: Path) -> None:
    flat = mine / "maps/1_sal.png"
    Image.new("L", (SIDE, SIDE), 30).save(flat)
    shown = run(*words(mine)).stdout
    (plcc,) = [line for line in shown.splitlines() if "plcc_mean" in line]
    assert "n=3" in plcc and sum("n=" in line for line in shown.splitlines()) == 1


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ecssd", "ECSSD"])
def test_four_pictures_that_pose_as_ecssd_are_partial_everywhere(name: str, mine: Path, tmp_path: Path) -> None:
    done = run(*words(mine, "--name", name, "--out", tmp_path / "out"))
    assert "4/1000" in done.stdout and "4 of 1,000 pairs, PARTIAL" in done.stderr
    for table in ("summary.md", "numbers.md"):
        assert f"PARTIAL: 4 of the 1000 images of {name}" in (tmp_path / "out" / table).read_text()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--as", "pysodmetrics", "--minmax"], r"--as pysodmetrics sets --minmax and --truth-threshold itself"),
        (["--as", "pysodmetrics", "--truth-threshold", "128"], r"--as pysodmetrics sets"),
    ],
)
def test_a_tool_and_its_settings_are_not_both_given(more: list[str], said: str, mine: Path) -> None:
    with pytest.raises(InputError, match=said):
        raise run(*words(mine, *more)).exception


def test_half_a_set_and_none_are_refused(mine: Path) -> None:
    for asked, said in (
        (["eval", "--images", mine / "images"], "describe one set"),
        (["eval"], r"nothing to measure on \(allowed: --corpus NAME, or --images DIR with --masks DIR\)"),
    ):
        with pytest.raises(InputError, match=said):
            raise run(*asked).exception


@pytest.mark.parametrize(("spoil", "code"), [("nothing", 0), ("empty", 1), ("size", 2)])
def test_check_stops_before_anything_is_measured(spoil: str, code: int, mine: Path, tmp_path: Path) -> None:
    if spoil != "nothing":
        size = (SIDE, SIDE) if spoil == "empty" else (9, 9)
        Image.new("L", size).save(mine / "masks/0.PNG")
    done = run(*words(mine, "--check", "--out", tmp_path / "out"))
    assert done.exit_code == code and not (tmp_path / "out").exists()
    assert {"nothing": "mine: 4 of 4", "empty": "1 empty masks (0)", "size": "1 REFUSED"}[spoil] in done.stderr
