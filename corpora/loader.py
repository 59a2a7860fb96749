"""From a corpus name and a root to image and mask pairs, or to clips and their masks."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from corpora.manifest import Layout, Manifest, load_manifest, manifest_names
from corpora.memo import digests_of
from harness.errors import InputError
from harness.media.pictures import PICTURE_SUFFIXES

__all__ = [
    "ClipPair",
    "Corpus",
    "Pair",
    "cache_folder",
    "clip_digest",
    "clips_of",
    "content_digest",
    "corpus_at_hand",
    "find_corpus",
    "images_in",
    "listing_digest",
    "load_clips",
    "load_manifest",
    "load_pairs",
    "manifest_names",
    "pairs_in",
    "search_roots",
]

VIDEO_SUFFIXES = (".y4m", ".mp4", ".mkv", ".webm", ".mov", ".avi")
ROOTS_VARIABLE = "HARNESS_CORPORA"


@dataclass(frozen=True)
class Pair:
    """One image and its ground-truth mask; `name` is the shared file stem."""

    name: str
    image: Path
    mask: Path


@dataclass(frozen=True)
class ClipPair:
    """One clip: `frames` is a folder of images or a video file, `masks` a folder with one mask per frame."""

    name: str
    frames: Path
    masks: Path


@dataclass(frozen=True)
class Corpus:
    """A corpus that was found on disk: its manifest, its own folder and the layout that fits."""

    manifest: Manifest
    folder: Path
    layout: Layout

    @property
    def images(self) -> Path:
        return self.folder / self.layout.images

    @property
    def masks(self) -> Path:
        return self.folder / self.layout.masks


def load_pairs(name: str, root: Path | str | None = None) -> list[Pair]:
    """All pairs of the image set `name`, sorted by image file name.

    `root` is the set's own folder or one that contains it; without it `HARNESS_CORPORA` is searched, then
    the cache. Raises `InputError` when the set is unknown, absent, a clip set, empty or has unpaired files.
    """
    manifest = load_manifest(name)
    if manifest.role == "clips":
        raise InputError(f"{manifest.name} is a set of clips; image sets are: {', '.join(_names_of('pairs'))}")
    corpus = find_corpus(manifest, root)
    return pairs_in(corpus.images, corpus.masks, corpus.layout.image_suffixes, corpus.layout.mask_suffixes)


def load_clips(name: str, root: Path | str | None = None, only: Collection[str] | None = None) -> list[ClipPair]:
    """All clips of the clip set `name`, or those named by `only`, sorted by name; roots and errors as in `load_pairs`.

    A clip kept as a folder of frames must have one mask per frame, with the same stem.
    """
    manifest = load_manifest(name)
    if manifest.role != "clips":
        raise InputError(f"{manifest.name} is a set of images; clip sets are: {', '.join(_names_of('clips'))}")
    corpus = find_corpus(manifest, root)
    frames = {path.stem: path for path in clips_of(corpus.images)}
    masks = {path.name: path for path in corpus.masks.iterdir() if path.is_dir() and not path.name.startswith(".")}
    _refuse_unpaired(frames.keys() ^ masks.keys(), corpus.images, corpus.masks, "clips")
    if not frames:
        raise InputError(f"{corpus.images}: no clips found (a folder of frames or {', '.join(VIDEO_SUFFIXES)} each)")
    if unknown := sorted(set(only or ()) - frames.keys()):
        raise InputError(f"{manifest.name} has no clip {unknown[0]!r} (allowed: {', '.join(sorted(frames))})")
    frames = {clip: path for clip, path in frames.items() if not only or clip in only}
    for clip, path in frames.items():
        if path.is_dir():
            pairs_in(path, masks[clip])
    return [ClipPair(clip, frames[clip], masks[clip]) for clip in sorted(frames)]


def pairs_in(
    images: Path, masks: Path, image_suffixes: Iterable[str] = (), mask_suffixes: Iterable[str] = ()
) -> list[Pair]:
    """All pairs of two folders, sorted by image file name; unpaired files are an `InputError`."""
    found, truth = _by_stem(images_in(images, image_suffixes)), _by_stem(images_in(masks, mask_suffixes))
    _refuse_unpaired(found.keys() ^ truth.keys(), images, masks, "files")
    if not found:
        raise InputError(f"{images}: no images found (allowed: {', '.join(image_suffixes or PICTURE_SUFFIXES)})")
    return [Pair(stem, found[stem], truth[stem]) for stem in sorted(found, key=lambda s: found[s].name)]


def images_in(folder: Path, suffixes: Iterable[str] = ()) -> list[Path]:
    """Image files of `folder`, sorted by name; hidden files, as archives from a Mac hold them, are left out."""
    allowed = tuple(suffixes) or PICTURE_SUFFIXES
    try:
        names = sorted(path.name for path in folder.iterdir())
    except OSError as error:
        raise InputError(f"{folder}: {'no such folder' if not folder.exists() else error.strerror}") from error
    return [folder / name for name in names if name.lower().endswith(allowed) and not name.startswith(".")]


def clips_of(folder: Path) -> list[Path]:
    """Folders and video files of `folder`, hidden ones left out: one per clip."""
    return [
        path
        for path in folder.iterdir()
        if not path.name.startswith(".") and (path.is_dir() or path.suffix.lower() in VIDEO_SUFFIXES)
    ]


def find_corpus(manifest: Manifest, root: Path | str | None = None) -> Corpus:
    """Where `manifest`'s files lie; `InputError` says where was looked and how to get the set."""
    if root is not None and not Path(root).is_dir():
        raise InputError(f"{root}: no such folder (the root of {manifest.name})")
    roots = search_roots(root)
    known = manifest.folders
    inside = ["", *known, *(f"{outer}/{inner}" for outer in known for inner in known)]  # archives nest a folder
    for base in roots:
        for folder in map(base.joinpath, inside):
            if corpus := _laid_out(manifest, folder):
                return corpus
    wanted = " or ".join(f"{layout.images} + {layout.masks}" for layout in manifest.layouts)
    means = "harness corpora synth OUT" if manifest.generated else f"harness corpora fetch {manifest.name}"
    raise InputError(
        f"{manifest.title} not found in {', '.join(map(str, roots))} (wanted: folders {wanted}); "
        f"give its folder as --root, set {ROOTS_VARIABLE} to the folder that holds it, or run: {means}"
    )


def _laid_out(manifest: Manifest, folder: Path) -> Corpus | None:
    """The set in `folder`, if a layout fits; `InputError` when two do, for each would give other numbers."""
    found = {
        ((folder / layout.images).resolve(), (folder / layout.masks).resolve()): layout
        for layout in reversed(manifest.layouts)  # of two names for one place the first layout's stays
        if (folder / layout.images).is_dir() and (folder / layout.masks).is_dir()
    }
    if len(found) > 1:
        several = " and ".join(f"{layout.images} + {layout.masks}" for layout in reversed(found.values()))
        raise InputError(f"{folder} holds {manifest.title} twice: {several} (move all but one out of it)")
    return Corpus(manifest, folder, next(iter(found.values()))) if found else None


def corpus_at_hand(manifest: Manifest, root: Path | str | None = None) -> Corpus | None:
    """`find_corpus`, or None where the files are not there."""
    try:
        return find_corpus(manifest, root)
    except InputError:
        return None


def search_roots(root: Path | str | None = None) -> list[Path]:
    """Folders to search: only `root` when given, else those in `HARNESS_CORPORA`, then the cache."""
    if root is not None:
        return [Path(root)]
    listed = os.environ.get(ROOTS_VARIABLE, "").split(os.pathsep)
    return [*(Path(entry).expanduser() for entry in listed if entry), cache_folder()]


def cache_folder() -> Path:
    """Where `fetch` puts corpora: `corpora` in the user's cache folder for this program."""
    from pooch import os_cache

    return Path(os_cache("harness")) / "corpora"


def listing_digest(pairs: list[Pair]) -> str:
    """SHA-256 over the sorted names and sizes of all files: cheap, enough to key a cache, no proof of content."""
    digest = hashlib.sha256()
    for pair in pairs:
        for path in (pair.image, pair.mask):
            digest.update(f"{path.parent.name}/{path.name} {path.stat().st_size}\n".encode())
    return digest.hexdigest()


def content_digest(pairs: Iterable[Pair]) -> str:
    """SHA-256 over the names and the content of all files, in their order; a file is read again when it was changed."""
    paths = [path for pair in pairs for path in (pair.image, pair.mask)]
    lines = (f"{path.parent.name}/{path.name} {sha}\n" for path, sha in zip(paths, digests_of(paths), strict=True))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def clip_digest(*clips: ClipPair) -> str:
    """SHA-256 over the names and the content of clips and their masks; files are read as in `content_digest`."""
    named: list[tuple[str, Path]] = []
    for clip in clips:
        if clip.frames.is_file():
            named.append((clip.name, clip.frames))
        for folder in (clip.frames, clip.masks) if clip.frames.is_dir() else (clip.masks,):
            named += [(f"{clip.name} {path.name}", path) for path in images_in(folder)]
    shas = digests_of([path for _, path in named])
    lines = (f"{name} {sha}\n" for (name, _), sha in zip(named, shas, strict=True))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _names_of(unit: str) -> list[str]:
    return [name for name in manifest_names() if load_manifest(name).unit == unit]


def _by_stem(paths: list[Path]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in paths:
        if found.setdefault(path.stem, path) != path:
            both = f"{found[path.stem].name} and {path.name}"
            raise InputError(f"{path.parent}: {both} share a stem, by which pictures and masks are paired (remove one)")
    return found


def _refuse_unpaired(alone: set[str], images: Path, masks: Path, what: str) -> None:
    if alone:
        raise InputError(f"{images} and {masks}: {len(alone)} unpaired {what}, the first is {min(alone)!r}")
