"""What a score leaves on disk beside its result: the log, the maps, and a video of them; each whole or absent."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.files import check_apart, whole_file
from harness.locks import file_held
from harness.media.map_files import map_writer, overlay_writer
from harness.media.open import Clip
from harness.saliency.colour import true_rgb
from harness.saliency.feature import FrameMeans


@dataclass(frozen=True)
class ScoreOutputs:
    """Files to write; None leaves one out.

    Attributes:
        log: The log, in the shape of libvmaf's JSON.
        maps: The first model's maps: a `.y4m`, or a new folder for PNG files.
        overlay: A video of the first model's maps over the distorted clip, `.mp4` or `.mkv`.
    """

    log: Path | None = None
    maps: Path | None = None
    overlay: Path | None = None

    @property
    def pictures(self) -> bool:
        """Whether maps are wanted, which only the embedded extractor gives."""
        return self.maps is not None or self.overlay is not None

    def check_apart(self, inputs: Mapping[str, Path]) -> None:
        """`InputError` when writing one of them would lose another, or one of `inputs`."""
        outputs = {"--log": self.log, "--map": self.maps, "--overlay": self.overlay}
        check_apart(inputs, {name: path for name, path in outputs.items() if path})

    @contextmanager
    def opened(self, clip: Clip) -> Iterator[OpenOutputs]:
        """All of them ready to be written, so that an unwritable place fails before the work; absent if that fails."""
        rate = clip.info.frame_rate
        with ExitStack() as files:
            for path in filter(None, (self.log, self.maps, self.overlay)):
                files.enter_context(file_held(path))
            log = files.enter_context(whole_file(self.log)) if self.log else None
            maps = files.enter_context(map_writer(self.maps, rate)) if self.maps else None
            overlay = files.enter_context(overlay_writer(self.overlay, rate)) if self.overlay else None

            def keep(frame: FrameMeans) -> None:
                if maps:
                    maps(frame.maps[0])
                if overlay:
                    overlay(true_rgb(frame.frame), frame.maps[0])

            yield OpenOutputs(log, keep if self.pictures else None)


@dataclass(frozen=True)
class OpenOutputs:
    """Where the log goes for now, and what takes every frame with its maps."""

    log: Path | None
    keep: Callable[[FrameMeans], None] | None
