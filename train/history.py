"""What a run folder holds of its epochs: rows, checkpoints, the curve."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch

from corpora.manifest import load_manifest
from harness.errors import InputError
from harness.files import check_schema, read_json, sha256_of, whole_file
from harness.pages.figures import save_figure

SCHEMA = Path(__file__).parent / "run.schema.json"
Progress = Callable[[str, int, int, dict[str, float]], None]
Taken = TypeVar("Taken")


@dataclass(frozen=True)
class EpochRow:
    """One line of `history.jsonl`; the progress view shows the same values."""

    epoch: int
    loss: float
    val_iou: float | None
    val_iou_per_image: float | None
    lr: float
    images_per_second: float
    seconds: float
    val_iou_whole: float | None = None

    @property
    def selected_by(self) -> float:
        """What chooses the best epoch: IoU on whole pictures where the recipe asks for it; -1 where none is known."""
        found = self.val_iou if self.val_iou_whole is None else self.val_iou_whole
        return -1.0 if found is None else found


def read_about(folder: Path) -> dict[str, Any]:
    """What the `run.json` of a run folder says; `InputError` when it is missing or not as training writes it."""
    content: dict[str, Any] = read_json(folder / "run.json")
    check_schema(content, SCHEMA, f"{folder / 'run.json'} is not as training writes it")
    return content


def draw_curve(history: list[EpochRow], path: Path, title: str) -> None:
    """Loss and validation IoU over epochs, as PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    epochs = [row.epoch for row in history]
    axes.plot(epochs, [row.loss for row in history], color="tab:gray", label="training loss")
    axes.set(xlabel="epoch", ylabel="loss", title=title)
    right = axes.twinx()
    measured = [row for row in history if row.val_iou is not None]
    right.plot(
        [row.epoch for row in measured], [row.selected_by for row in measured], color="tab:blue", label="validation IoU"
    )
    right.set_ylabel("validation IoU@0.5")
    figure.legend(loc="outside lower center", ncols=2)
    save_figure(figure, path)


def checkpoint(folder: Path, parts: dict[str, Any], history: list[EpochRow]) -> None:
    """Write the history, and all that a resumed run needs."""
    with whole_file(folder / "history.jsonl") as part:
        part.write_text("".join(json.dumps(asdict(row)) + "\n" for row in history))
    state = {name: part.state_dict() for name, part in parts.items()}
    state |= {"torch_random": torch.get_rng_state(), "history": [asdict(row) for row in history]}
    save(folder / "checkpoint.pt", state)


def restore(folder: Path, parts: dict[str, Any], device: torch.device) -> list[EpochRow]:
    """Give `parts` their state from the folder's checkpoint; returns the history up to it."""

    def take(state: Any) -> list[EpochRow]:
        for name, part in parts.items():
            part.load_state_dict(state[name])
        torch.set_rng_state(state["torch_random"].cpu())
        return [EpochRow(**row) for row in state["history"]]

    return with_state(folder / "checkpoint.pt", device, take)


def with_state(path: Path, device: torch.device, take: Callable[[Any], Taken]) -> Taken:
    """What `take` makes of the state that `save` wrote to `path`; `InputError` for a file that is torn or another's."""
    try:
        return take(torch.load(path, map_location=device, weights_only=True))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    except Exception as error:  # a torn file ends in whatever its reader stumbles over
        first = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise InputError(f"{path} is torn, or not what this student's training wrote: {first}") from error


def best_of(folder: Path) -> Path:
    """Where the best weights of the run in `folder` lie; `InputError` when it has none."""
    if not (best := folder / "best.pt").exists():
        raise InputError(f"{folder}: no finished epoch yet (allowed: a run with one)")
    return best


def stage_of(folder: Path) -> dict[str, Any]:
    """What a later run, or an average, keeps of the one whose best weights it takes.

    Args:
        folder: The run's.

    Returns:
        The hash of these weights, and of `run.json` all that says what they have seen, as far as it stands there.

    Raises:
        InputError: For a folder that is no run's, for a run without a finished epoch, and for an unknown corpus.
    """
    about = read_about(folder)
    lasting = ("recipe", "corpora", "pairs", "listing_sha256", "fold_sha256", "teacher", "started_from")
    kept = {key: about[key] for key in lasting if key in about}
    if "corpora" in kept:  # as they were typed, some by the path of a manifest
        kept["corpora"] = [load_manifest(name).name for name in kept["corpora"]]
    return kept | {"best_pt_sha256": sha256_of(best_of(folder))}


def load_best(student: torch.nn.Module, folder: Path) -> None:
    """Give `student` the best weights of the run in `folder`, wherever it lies."""
    device = next(student.parameters()).device
    with_state(folder / "best.pt", device, lambda state: student.load_state_dict(state["student"]))


def save(path: Path, state: dict[str, Any]) -> None:
    """`torch.save`, whole or not at all; `HarnessError` when the disk is full, of which torch itself makes a riddle."""
    content = io.BytesIO()
    torch.save(state, content)
    with whole_file(path) as part:
        part.write_bytes(content.getbuffer())
