"""Which file of a folder is the map of which picture: methods name and encode their maps as they like."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from harness.errors import InputError
from harness.media.pictures import PICTURE_SUFFIXES

TRIED = 8  # pictures whose files show how a folder names its maps: the first ones may have none

Pattern = tuple[str, str]  # what stands before and behind a picture's name
PLAIN: Pattern = ("", "")


def find_maps(folder: Path, wanted: Sequence[str], complete: bool = True) -> dict[str, Path]:
    """The map of every picture `split/stem` in `wanted`, by that name.

    A split's maps lie in the folder of its name, in whatever case, or in `folder` itself if there is one split. They
    have any suffix that `read_grey` reads, in whatever case, and one prefix and postfix in all names: `0001_sal.JPG`.
    Raises `InputError` for pictures without a map, which it counts, unless the maps need not be `complete`; and for two
    files that may be the map of one.
    """
    by_split: dict[str, list[str]] = {}
    for picture in wanted:
        split, _, stem = picture.rpartition("/")
        by_split.setdefault(split, []).append(stem)
    own = {path.name.lower(): path for path in folder.iterdir() if path.is_dir()}
    found: dict[str, Path] = {}
    missing: list[str] = []
    for split, stems in by_split.items():
        place = own.get(split.lower(), folder if len(by_split) == 1 else None)
        files = _by_stem(place) if place else {}
        before, behind = _pattern(place or folder, files, stems)
        for stem in stems:
            paths = files.get(f"{before}{stem}{behind}", [])
            if len(paths) > 1:
                raise InputError(
                    f"{place}: {paths[0].name} and {paths[1].name} may both be the map of {stem} (keep one)"
                )
            found.update({f"{split}/{stem}": path for path in paths})
            if not paths:
                missing.append(f"{'' if place == folder else split + '/'}{before}{stem}{behind}.png")
    if missing and (complete or not found):
        said = f"{len(missing)} of {len(wanted)} maps are missing, the first is {missing[0]}"
        several = "" if len(by_split) == 1 else "; for several splits a folder each, named like the split"
        raise InputError(f"{folder}: {said} (allowed: any of {', '.join(PICTURE_SUFFIXES)}{several})")
    return found


def _by_stem(folder: Path) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in PICTURE_SUFFIXES and not path.name.startswith("."):
            found.setdefault(path.stem, []).append(path)
    return found


def _pattern(folder: Path, files: Mapping[str, object], stems: Sequence[str]) -> Pattern:
    """What stands around the pictures' names in most of the files' names; nothing, where that serves as well."""

    def served(pattern: Pattern) -> int:
        before, behind = pattern
        return sum(f"{before}{stem}{behind}" in files for stem in stems)

    count = {PLAIN: served(PLAIN)}
    if count[PLAIN] < len(stems):
        count |= {pattern: served(pattern) for pattern in _patterns(files, stems[:TRIED])}
    most = max(count.values())
    best = [pattern for pattern in count if count[pattern] == most]
    if PLAIN in best:
        return PLAIN
    if len(best) > 1:
        names = " and ".join(f"{before}{stems[0]}{behind}" for before, behind in best[:2])
        raise InputError(
            f"{folder}: {names} may both be the map of {stems[0]} (allowed: a folder for each kind of map)"
        )
    return best[0]


def _patterns(files: Iterable[str], stems: Iterable[str]) -> set[Pattern]:
    return {(name[:at], name[at + len(stem) :]) for stem in stems for name in files if (at := name.find(stem)) >= 0}
