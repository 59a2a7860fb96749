"""What is said of a set before a run is what the run would find; `--check` turns it into an exit code."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from corpora import memo
from corpora import survey as module
from corpora.loader import Pair, find_corpus, load_manifest, pairs_in
from corpora.survey import Survey, survey
from corpora.verify import verify
from harness.errors import InputError
from tests.helpers.commands import run


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("HARNESS_CORPORA", raising=False)
    monkeypatch.setattr(memo, "_known", {})


def save(path: Path, pixels: np.ndarray, turn: int = 1) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    exif[0x0112] = turn
    Image.fromarray(pixels.astype(np.uint8)).save(path, **({"exif": exif} if turn != 1 else {}))


def mask_of(share: float, size: tuple[int, int] = (40, 50)) -> np.ndarray:
    """A mask whose first pixels, so many, are foreground."""
    return (np.arange(size[0] * size[1]).reshape(size) < share * size[0] * size[1]) * 255


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """ECSSD's folder with one pair of each odd kind."""
    root = tmp_path / "ECSSD"
    grey = mask_of(0.3)
    grey[-1] = 90
    kinds = {"empty": mask_of(0), "full": mask_of(1), "tiny": mask_of(0.005), "grey": grey, "good": mask_of(0.3)}
    for name, mask in kinds.items():
        save(root / "images" / f"{name}.jpg", np.full((40, 50, 3), 99))
        save(root / "masks" / f"{name}.png", mask)
    save(root / "images/turned.jpg", np.full((50, 40, 3), 99), turn=6)  # shown 50 wide, 40 high
    save(root / "masks/turned.png", mask_of(0.3))
    return root


def pairs_of(folder: Path) -> list[Pair]:
    return pairs_in(folder / "images", folder / "masks")


def test_a_damaged_memory_is_not_believed(folder: Path) -> None:
    found = survey("ecssd", pairs_of(folder))
    with sqlite3.connect(next((folder.parent / "cache").rglob("memo.sqlite"))) as store:
        store.execute("UPDATE looks SET value = '{\"width\": 1'")
    assert survey("ecssd", pairs_of(folder)) == found


def test_every_odd_kind_is_named_and_the_count_is_held_against_the_published_one(folder: Path) -> None:
    found = survey("ecssd", pairs_of(folder))
    assert (found.pairs, found.published, found.code, found.refused) == (6, 1000, 1, ())
    assert (found.empty, found.full, found.tiny) == (("empty",), ("full",), ("tiny",))
    assert (found.grey, found.turned) == (("grey",), ("turned",))
    assert found.smallest == found.largest == (50, 40)
    assert str(found).startswith("ecssd: 6 of 1,000 pairs, PARTIAL; 50x40 pixels; 1 empty masks (empty)")


def test_a_whole_sound_set_is_0_and_what_a_run_would_refuse_is_2(folder: Path) -> None:
    pairs = [pair for pair in pairs_of(folder) if pair.name in ("good", "grey", "tiny", "turned")]
    assert survey("my own", pairs).code == 0
    save(folder / "masks/good.png", mask_of(0.3) // 255)  # 0 and 1
    found = survey("my own", pairs)
    assert found.code == 2 and "good.png" in found.refused[0]
    save(folder / "masks/good.png", mask_of(0.3, (30, 50)))
    (refused,) = survey("my own", pairs).refused
    assert refused.endswith("good.png: mask is 50x30, its image 50x40 (must be equal)")
    (only,) = survey("my own", [pair for pair in pairs_of(folder) if pair.name == "empty"]).refused
    assert only == "all 1 masks are empty (foreground is above 127 of 255)"


def test_a_cut_picture_is_found_where_pictures_are_decoded(folder: Path) -> None:
    path = folder / "images/good.jpg"
    save(path, np.random.default_rng(0).integers(0, 256, (40, 50, 3)))
    path.write_bytes(path.read_bytes()[:-300])
    pairs = pairs_of(folder)
    assert survey("x", pairs).code == 1 and survey("x", pairs, whole=True).code == 2


def test_a_mask_is_looked_at_once_while_its_content_stays(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[Path] = []
    real = module.read_mask
    monkeypatch.setattr(module, "read_mask", lambda path, above: looked.append(path) or real(path, above))
    before = survey("ecssd", pairs_of(folder))
    assert len(looked) == 6 and survey("ecssd", pairs_of(folder)) == before and len(looked) == 6
    save(folder / "masks/empty.png", mask_of(0.5))
    assert survey("ecssd", pairs_of(folder)).empty == () and len(looked) == 7
    assert survey("ecssd", pairs_of(folder), above=80).grey == ("grey",) and len(looked) == 13


def test_verify_names_what_an_evaluation_would_stumble_over(folder: Path) -> None:
    found = verify(find_corpus(load_manifest("ecssd"), folder))
    assert (found.empty, found.full, found.tiny) == (("empty",), ("full",), ("tiny",)) and found.sound


def test_a_set_that_lies_there_twice_is_refused(folder: Path) -> None:
    save(folder / "ground_truth_mask/good.png", mask_of(0.9))
    with pytest.raises(InputError, match=r"holds ECSSD twice: images \+ masks and images \+ ground_truth_mask"):
        find_corpus(load_manifest("ecssd"), folder)


def test_one_place_under_two_names_is_no_second_set(folder: Path) -> None:
    (folder / "ground_truth_mask").symlink_to(folder / "masks")
    assert find_corpus(load_manifest("ecssd"), folder).layout.masks == "masks"


@pytest.mark.slow
@pytest.mark.parametrize("command", ["validate", "train"])
def test_check_stops_after_the_survey(command: str, folder: Path) -> None:
    pytest.importorskip("torch", reason="the extra `train` is not installed")
    root = folder.parent / "DUTS-TR"
    for kind, name in (("images", "DUTS-TR-Image"), ("masks", "DUTS-TR-Mask")):
        for number in range(70):
            source = folder / kind / f"good.{'jpg' if kind == 'images' else 'png'}"
            (root / name).mkdir(parents=True, exist_ok=True)
            (root / name / f"{number:03}{source.suffix}").write_bytes(source.read_bytes())
    words = [command, "--root", root, "--check", *(["--student", "v1"] if command == "train" else [])]
    done = run(*words)
    assert done.exit_code == 1 and "duts-tr: 70 of 10,553 pairs, PARTIAL; 50x40 pixels" in done.output
    save(root / "DUTS-TR-Mask/003.png", mask_of(0.3, (30, 50)))
    done = run(*words)
    assert done.exit_code == 2 and "1 REFUSED" in done.output and "003.png: mask is 50x30" in done.output
    done = run(*[word for word in words if word != "--check"])
    assert isinstance(done.exception, InputError) and "003.png: mask is 50x30" in str(done.exception)


def test_a_survey_is_json(folder: Path) -> None:
    found = survey("ecssd", pairs_of(folder))
    assert isinstance(found, Survey) and json.loads(json.dumps(found.as_json()))["code"] == 1
