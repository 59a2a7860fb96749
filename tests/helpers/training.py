"""Training runs over square frames, as small as can be, and the weights that any run leaves."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from corpora.loader import Pair

if TYPE_CHECKING:
    import torch

TINY = {
    "epochs": 2, "batch_size": 8, "short_side": 48, "crop_size": 32, "val_short_side": 32, "small_size": 32,
    "small_epochs": 1, "frame_side": 48, "validate_every": 1, "calm_epochs": 1,
}  # fmt: skip


def run_once(pairs: list[Pair], folder: Path, student: str = "v4", **options: Any) -> Path:
    from train.loop import train
    from train.recipe import Recipe, load_recipe

    named = {key: options.pop(key) for key in ("resume", "progress", "lesson", "start_from") if key in options}
    known = Recipe.__dataclass_fields__
    recipe = load_recipe(student, **TINY | {key: value for key, value in options.items() if key in known})
    train(recipe, pairs, folder, folder.parent / "cache", "cpu", threads=1, **named)
    return folder


def final(folder: Path) -> dict[str, torch.Tensor]:
    import torch

    return torch.load(folder / "final.pt", weights_only=True)["student"]


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    import torch

    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


def frames_of(count: int, side: int = 64) -> torch.Tensor:
    """Smooth pictures whose red is their mask: `[count, side, side, 4]`."""
    import torch

    draw = torch.rand(count, 2, 5, 5, generator=torch.Generator().manual_seed(1))
    smooth = torch.nn.functional.interpolate(draw, size=(side, side), mode="bicubic").clamp(0, 1)
    frames = torch.zeros(count, side, side, 4)
    frames[..., 0], frames[..., 3] = (smooth[:, 0] > 0.5), (smooth[:, 0] > 0.5)
    frames[..., 1] = smooth[:, 1]
    return (frames * 255).byte()
