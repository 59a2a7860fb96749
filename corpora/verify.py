"""Is this corpus whole? Count, pair, decode and hash every file."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from corpora.loader import Corpus, Pair, clips_of, images_in
from corpora.manifest import Layout
from corpora.survey import survey
from harness.errors import InputError
from harness.media.pictures import read_mask, read_rgb

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Check:
    """What `verify` found. Paths are relative to `folder`; `variant` is the known edition with this digest, or "".

    `unreadable` is what the reader of pictures and masks refuses, as every command would; `reasons` say why.
    `empty` to `turned` name pairs as `Survey` does: they are sound, and an evaluation may stumble over them.
    `digest` is the SHA-256 over the sorted lines `NAME SHA256` of all image and mask files.
    """

    name: str
    folder: str
    unit: str
    count: int
    expected: int
    files: int
    unpaired: tuple[str, ...]
    unreadable: tuple[str, ...]
    reasons: tuple[str, ...]
    mismatched: tuple[str, ...]
    empty: tuple[str, ...]
    full: tuple[str, ...]
    tiny: tuple[str, ...]
    grey: tuple[str, ...]
    turned: tuple[str, ...]
    digest: str
    variant: str

    @property
    def sound(self) -> bool:
        """True when every file is paired, decodes, and has its partner's size; a subset can be sound."""
        return self.count > 0 and not (self.unpaired or self.unreadable or self.mismatched)

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "sound": self.sound}


def verify(corpus: Corpus, workers: int = 2, progress: Progress | None = None) -> Check:
    """Decode and hash every file of `corpus` with `workers` threads; `progress` hears (done, total)."""
    pairs: list[Pair] = []
    videos: list[tuple[Path, Path]] = []
    unpaired: list[Path] = []
    count = 0
    for images, masks in _folders(corpus):
        if images.is_file() and masks.is_dir():
            videos.append((images, masks))
            count += 1
        elif images.is_dir() and masks.is_dir():
            found, alone = _pair(corpus, images, masks)
            pairs += found
            unpaired += alone
            count += 1 if corpus.manifest.unit == "clips" else len(found)
        else:
            unpaired.append(images if images.exists() else masks)

    work = [partial(_look_at_pair, pair) for pair in pairs] + [partial(_look_at_video, *video) for video in videos]
    seen = _Seen()
    with ThreadPoolExecutor(workers) as pool:  # Pillow, PyAV and hashlib release the lock while they work
        for done, part in enumerate(pool.map(lambda job: job(), work), start=1):
            seen.add(part)
            if progress:
                progress(done, len(work))

    def relative(paths: list[Path]) -> tuple[str, ...]:
        return tuple(sorted(path.relative_to(corpus.folder).as_posix() for path in paths))

    odd = survey(corpus.manifest.name, [pair for pair in pairs if not seen.unreadable.keys() & {pair.image, pair.mask}])
    digest = _digest(corpus, corpus.layout, seen.hashes)
    digests = {digest, *(_digest(corpus, layout, seen.hashes) for layout in corpus.manifest.layouts)}
    return Check(
        name=corpus.manifest.name,
        folder=str(corpus.folder),
        unit=corpus.manifest.unit,
        count=count,
        expected=corpus.manifest.count,
        files=len(seen.hashes),
        unpaired=relative(unpaired),
        unreadable=relative(list(seen.unreadable)),
        reasons=tuple(sorted(seen.unreadable.values())),
        mismatched=relative(seen.mismatched),
        empty=odd.empty,
        full=odd.full,
        tiny=odd.tiny,
        grey=odd.grey,
        turned=odd.turned,
        digest=digest,
        variant=next((known.name for known in corpus.manifest.variants if known.digest in digests), ""),
    )


def _digest(corpus: Corpus, layout: Layout, hashes: dict[Path, str]) -> str:
    """SHA-256 over names and hashes of the files, named as if they lay in the folders of `layout`."""

    def name(path: Path) -> str:
        mixed = corpus.images == corpus.masks
        masks = path.name.lower().endswith(corpus.layout.mask_suffixes) if mixed else path.is_relative_to(corpus.masks)
        old, new = (corpus.masks, layout.masks) if masks else (corpus.images, layout.images)
        return (Path(new) / path.relative_to(old)).as_posix()

    lines = sorted(f"{name(path)} {sha}\n" for path, sha in hashes.items())
    return hashlib.sha256("".join(lines).encode()).hexdigest()


class _Seen:
    """Hashes and faults of the files looked at so far."""

    def __init__(self) -> None:
        self.hashes: dict[Path, str] = {}
        self.unreadable: dict[Path, str] = {}
        self.mismatched: list[Path] = []

    def add(self, other: _Seen) -> None:
        self.hashes |= other.hashes
        self.unreadable |= other.unreadable
        self.mismatched += other.mismatched

    def hash(self, path: Path) -> None:
        try:
            with path.open("rb") as stream:
                self.hashes[path] = hashlib.file_digest(stream, "sha256").hexdigest()
        except OSError as error:
            self.unreadable[path] = f"{path}: {error.strerror}"

    def size_of(self, path: Path, read: Callable[[Path], np.ndarray]) -> tuple[int, int] | None:
        """Width and height of an image as `read` has it; None, and noted with the reason, when that refuses it."""
        self.hash(path)
        try:
            height, width = read(path).shape[:2]
        except InputError as error:
            self.unreadable[path] = str(error)
            return None
        return width, height


def _look_at_pair(pair: Pair) -> _Seen:
    seen = _Seen()
    image, mask = seen.size_of(pair.image, read_rgb), seen.size_of(pair.mask, read_mask)
    if image and mask and image != mask:
        seen.mismatched.append(pair.mask)
    return seen


def _look_at_video(video: Path, masks: Path) -> _Seen:
    """A video must decode to as many frames as it has masks, each of its size."""
    import av

    seen = _Seen()
    seen.hash(video)
    sizes = []
    try:
        with av.open(str(video)) as container:
            sizes = [(frame.width, frame.height) for frame in container.decode(video=0)]
    except (av.FFmpegError, OSError, ValueError, IndexError) as error:
        seen.unreadable[video] = f"{video}: cannot be decoded: {error}"
        return seen
    found = [(path, seen.size_of(path, read_mask)) for path in images_in(masks)]
    if len(found) != len(sizes):
        seen.mismatched.append(video)
    seen.mismatched += [path for (path, size), frame in zip(found, sizes, strict=False) if size and size != frame]
    return seen


def _folders(corpus: Corpus) -> Iterator[tuple[Path, Path]]:
    """The image and mask folders to compare; a video stands in for its image folder."""
    if corpus.manifest.unit == "pairs":
        yield corpus.images, corpus.masks
        return
    frames = {path.stem: path for path in clips_of(corpus.images)}
    masks = {path.name: path for path in clips_of(corpus.masks)}
    for clip in sorted(frames.keys() | masks.keys()):
        yield frames.get(clip, corpus.images / clip), masks.get(clip, corpus.masks / clip)


def _pair(corpus: Corpus, images: Path, masks: Path) -> tuple[list[Pair], list[Path]]:
    """Pairs of one image and one mask of a stem, and all other files."""
    found, truth = images_in(images, corpus.layout.image_suffixes), images_in(masks, corpus.layout.mask_suffixes)
    counts = [Counter(path.stem for path in paths) for paths in (found, truth)]
    sure = {stem for stem in counts[0] if counts[0][stem] == counts[1][stem] == 1}
    by_stem = [{path.stem: path for path in paths if path.stem in sure} for paths in (found, truth)]
    alone = [path for path in (*found, *truth) if path.stem not in sure]
    clip = f"{images.name}/" if corpus.manifest.unit == "clips" else ""
    return [Pair(f"{clip}{stem}", by_stem[0][stem], by_stem[1][stem]) for stem in sorted(sure)], alone
