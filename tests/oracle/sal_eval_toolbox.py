"""Maps and masks for which sal_eval_toolbox's own numbers were recorded: `python -m tests.oracle.sal_eval_toolbox DIR`
writes them, and what to run there.

Its answers stand in `tests/vectors/sal_eval_toolbox.json`: commit b4696d6 of ArcherFMY/sal_eval_toolbox in GNU Octave
7.3 with image package 2.14.0.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image

DRIVER = """pkg load image
addpath('TOOL/tools/Curve_BenchCode');  % and a folder with a waitbar.m and a close.m that do nothing
data.datasetName = 'drawn'; data.GTdir = [pwd '/masks/'];
arm = struct('name', 'drawn', 'dir', [pwd '/the_maps_of_it/'], 'prefix', '', 'postfix', '', 'ext', 'png');
m = performCalcu(data, {arm});
printf('%.8f\\n', m.MaxFmeasure, m.mean_Fmeasure(3), m.MAE, m.S_measure, m.maxIoU);
"""


def write(folder: Path) -> None:
    """`images`, `masks` with greys on both sides of a tenth, and `the_maps_of_it`, none of them with a black pixel."""
    down, across = np.mgrid[:40, :48]
    for number in range(5):
        away = np.hypot(down - 12 - 3 * number, across - 20 - 2 * number)
        mask = np.select([away < 9, away < 11, away < 13], [255, 26, 25], 0).astype(np.uint8)
        drift = (across * (7 + number) + down * 5 + across * down // 3) % 70
        saliency = (30 + drift + 110 * (away < 10 + number)).astype(np.uint8)
        for name, pixels in (("images", mask), ("masks", mask), ("the_maps_of_it", saliency)):
            (folder / name).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
    Path(sys.argv[1], "go.m").write_text(DRIVER)
