"""Imports follow the floors of docs/architecture.md, and modules stay small."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.helpers import ROOT
from tests.helpers.architecture import PACKAGES, Tree, faults, figures, read_floors

PAGE = ROOT / "docs" / "architecture.md"


def test_the_house_is_as_it_is_drawn() -> None:
    assert _faults(ROOT) == []


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A house with one module a room, without a fault."""
    for room in (room for rooms in read_floors(PAGE) for room in rooms):
        folder = {"ground": "harness/errors.py", "harness": "harness/__init__.py"}.get(room, f"harness/{room}/only.py")
        path = tmp_path / (folder if room not in PACKAGES[1:] else f"{room}/only.py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'"""{room}."""\n')
    assert _faults(tmp_path) == []
    return tmp_path


OFFENCES = {
    "a workflow imported from below": ("harness/roi/reference.py", "import harness.studies.roi.only", "studies/roi"),
    "a function's own import": ("harness/media/late.py", "def f():\n    from harness.roi import only", "roi"),
    "a relative import": ("harness/media/near.py", "from ..roi import only", "roi"),
    "a study that imports a study": ("harness/studies/eval/x.py", "import harness.studies.score.only", "studies/score"),
    "two rooms of one floor": ("harness/metrics/x.py", "from harness.quality.only import x", "quality"),
    "the command line as a library": ("harness/gate/x.py", "from harness.cli.only import x", "cli"),
    "training from a study": ("harness/studies/eval/x.py", "import train.only", "train"),
    "training from another command": ("harness/cli/x.py", "from harness.cli.train.only import x", "cli/train"),
    "the front door from inside": ("harness/roi/x.py", "import harness", "harness"),
    "a corpus that knows a study": ("corpora/x.py", "from harness.studies.doctor.only import x", "studies/doctor"),
}  # fmt: skip


@pytest.mark.parametrize("name", OFFENCES)
def test_an_arrow_up_is_a_fault(name: str, house: Path) -> None:
    path, code, room = OFFENCES[name]
    (house / path).write_text(f"{code}\n")
    module = path.removesuffix(".py").replace("/", ".")
    (found,) = _faults(house)
    assert found.startswith(f"{module} imports") and found.endswith(f"is not above {room}")


def test_torch_stays_with_training(house: Path) -> None:
    (house / "harness" / "models" / "x.py").write_text("def f():\n    import torch.nn\n")
    assert _faults(house) == ["harness.models.x imports torch.nn: only train and cli/train may"]


def test_modules_of_one_room_do_not_import_in_a_circle(house: Path) -> None:
    (house / "harness" / "roi" / "a.py").write_text("from harness.roi import b\n")
    (house / "harness" / "roi" / "b.py").write_text("from harness.roi.a import x\n")
    (fault,) = _faults(house)
    assert fault.startswith("modules import in a circle: ") and "harness.roi.a -> harness.roi.b" in fault


def test_a_long_module_is_a_fault(house: Path) -> None:
    (house / "harness" / "roi" / "long.py").write_text("x = 1\n" * 401)
    assert _faults(house) == ["harness.roi.long has 401 lines (allowed: 400)"]


def test_a_tenth_flat_module_and_a_new_room_are_faults(house: Path) -> None:
    for number in range(9):
        (house / "harness" / f"flat{number}.py").write_text("x = 1\n")
    found = _faults(house)
    assert "flat0 is on no floor" in found and any("modules lie flat in harness/ (allowed: 9)" in f for f in found)


def test_a_floor_without_a_room_is_a_fault(house: Path) -> None:
    shutil.rmtree(house / "harness" / "quality")
    assert "quality is on a floor but does not exist" in _faults(house)


def test_the_page_counts_rooms_and_floors() -> None:
    now = figures(Tree.read(ROOT))
    assert "{rooms} rooms on {floors} floors".format(**now) in PAGE.read_text(encoding="utf-8")


def test_a_circle_of_rooms_shares_a_floor(house: Path) -> None:
    before = figures(Tree.read(house))
    (house / "harness" / "roi" / "only.py").write_text("import harness.media.only\n")
    (house / "harness" / "media" / "only.py").write_text("import harness.roi.only, harness.errors\n")
    assert (before["floors"], before["arrows"]) == (1, 0)
    assert figures(Tree.read(house)) == {"rooms": before["rooms"], "floors": 2, "arrows": 3}


def test_no_test_imports_another() -> None:
    found = Tree.read(ROOT, ("tests",)).arrows
    assert found and not [arrow for arrow in found if arrow.target.rpartition(".")[2].startswith("test_")]


def _faults(root: Path) -> list[str]:
    return faults(Tree.read(root), read_floors(PAGE))
