"""The streams beside the video: audio and subtitles of the source, copied as they are."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import av

from harness.errors import InputError


def check_copied_streams(source: Path, out: Path) -> None:
    """`InputError` when a container of `out`'s name cannot take an audio or subtitle stream of `source` as it is."""
    with CopiedStreams(source) as copied, tempfile.TemporaryDirectory() as folder:
        streams = [s for s in copied.streams if s.type in ("audio", "subtitle")]
        if not streams:
            return
        with av.open(str(Path(folder, f"empty{out.suffix}")), "w") as container:
            for stream in streams:
                codec = stream.codec_context.codec.canonical_name
                if codec not in container.supported_codecs:
                    raise InputError(f"{out} takes no {stream.type} stream {codec} (allowed: .mkv, which takes all)")


class CopiedStreams:
    """Audio and subtitle streams of the source, copied packet by packet in step with the video."""

    def __init__(self, path: Path | None) -> None:
        self.path = path if path is not None and path.is_file() else None
        self.source: Any = None

    def __enter__(self) -> CopiedStreams:
        if self.path is not None:
            try:
                self.source = av.open(str(self.path))
            except (av.FFmpegError, ValueError):  # raw video: no container, so nothing to copy
                self.source = None
        return self

    def __exit__(self, *_: object) -> None:
        if self.source is not None:
            self.source.close()

    @property
    def streams(self) -> list[Any]:
        """All streams of the source; none when it is raw video or a folder."""
        return list(self.source.streams) if self.source is not None else []

    def announce(self, container: Any) -> None:
        """Add the streams to the output, which `check_copied_streams` found able to take them."""
        self.targets: dict[int, Any] = {}
        for stream in self.streams:
            if stream.type in ("audio", "subtitle"):
                self.targets[stream.index] = container.add_stream_from_template(stream)
        chosen = [self.source.streams[index] for index in self.targets]
        self.packets = self.source.demux(chosen) if chosen else iter(())
        self.waiting = next(self.packets, None)

    def copy_until(self, container: Any, time: float) -> None:
        """Mux all packets that decode before `time` in seconds."""
        while self.waiting is not None:
            packet = self.waiting
            if packet.dts is not None:
                if float(packet.dts * packet.time_base) > time:
                    return
                packet.stream = self.targets[packet.stream.index]
                container.mux(packet)
            self.waiting = next(self.packets, None)
