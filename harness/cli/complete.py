"""What TAB offers: model ids, corpora, encoders; read from files alone, so that it answers at once."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

ENCODERS = ("libx264", "libx265", "libvpx", "libvpx-vp9", "libkvazaar", "SvtAv1EncApp", "h264_qsv", "hevc_qsv")
CENTRE_PRIOR, PRODUCTION = "centre-prior", "production"


def models(incomplete: str) -> list[str]:
    """Registry ids and `production`."""
    from harness.models.folders import model_folder

    found = [PRODUCTION]
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):  # a broken registry is for a command to refuse
        text = (model_folder() / "tiny" / "registry.json").read_text(encoding="utf-8")
        found += [str(entry["id"]) for entry in json.loads(text)["models"]]
    return _beginning(found, incomplete)


def map_sources(incomplete: str) -> list[str]:
    """Models, and what needs none."""
    return [*models(incomplete), *_beginning([CENTRE_PRIOR], incomplete)]


def corpora(incomplete: str) -> list[str]:
    """Every set that has a manifest."""
    import corpora as package

    return _beginning(sorted(path.stem for path in Path(package.__path__[0]).glob("*.toml")), incomplete)


def encoders(incomplete: str) -> list[str]:
    """Those that take a map."""
    return _beginning(list(ENCODERS), incomplete)


def _beginning(names: list[str], incomplete: str) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]
