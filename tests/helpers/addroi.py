"""A way of steering that the harness does not know: FFmpeg's own filters; light to import, for a program."""

from __future__ import annotations

import itertools
import json
from pathlib import Path


def addroi(options: dict[str, str], offsets: Path) -> dict[str, str]:
    """FFmpeg's own region filters for the first frame of a `write_json_offsets` file, in blocks of 32."""
    said = json.loads(offsets.read_text())
    places = itertools.product(range(said["block_rows"]), range(said["block_columns"]))
    regions = [
        f"addroi=x={32 * column}:y={32 * row}:w=32:h=32:qoffset={qp / 51:.6f}"
        for (row, column), qp in zip(places, said["offsets_qp"][0], strict=True)
    ]
    return {**options, "vf": ",".join(regions)}
