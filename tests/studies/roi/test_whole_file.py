"""What an encode gives back beside its picture: streams, names, chapters, side data and times, or a word that they
are lost; each file is made here."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import pytest

from harness.errors import InputError
from harness.media.contents import read_contents
from harness.media.ffmpeg import find_ffmpeg, url
from harness.media.open import open_clip
from tests.helpers.clips import write_clip
from tests.helpers.roi import run

WORDS = "1\n00:00:00,000 --> 00:00:00,200\nA drifting texture\n"
ABOUT = """;FFMETADATA1
title=A film
[CHAPTER]
TIMEBASE=1/1000
START=0
END=200
title=One
[CHAPTER]
TIMEBASE=1/1000
START=200
END=320
title=Two
"""
MASTERING, LIGHT = "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1)", "1000,400"


def ffmpeg(*words: object) -> None:
    find_ffmpeg().run([str(word) for word in words])


def write_rich(folder: Path, name: str = "rich.mkv") -> Path:
    """A film with two languages, subtitles, chapters, names, flags, a font and a cover."""
    plain = write_clip(folder / "plain.mkv", size=(320, 192))
    (folder / "words.srt").write_text(WORDS)
    (folder / "about.txt").write_text(ABOUT)
    (folder / "a font.ttf").write_bytes(b"\0\1\0\0 no real font")
    next(iter(open_clip(plain))).picture().to_image().save(folder / "cover.jpg")
    sound = [word for tone in (440, 880) for word in ("-f", "lavfi", "-i", f"sine={tone}:r=48000:d=0.32")]
    ffmpeg(
        *("-i", plain, *sound, "-i", folder / "words.srt", "-i", folder / "about.txt"),
        *("-map", "0", "-map", "1", "-map", "2", "-map", "3", "-map_metadata", "4", "-map_chapters", "4"),
        *("-c:v", "libx264", "-preset", "veryfast", "-bf", "2", "-crf", "12", "-c:a", "aac", "-c:s", "srt"),
        *("-metadata:s:v:0", "title=The picture", "-metadata:s:v:0", "timecode=01:00:00:00"),
        *("-metadata:s:a:0", "language=deu", "-metadata:s:a:0", "title=Haupttonspur", "-disposition:a:0", "0"),
        *("-metadata:s:a:1", "language=eng", "-disposition:a:1", "default+comment"),
        *("-metadata:s:s:0", "language=fra", "-disposition:s:0", "forced"),
        *("-attach", folder / "a font.ttf", "-metadata:s:t:0", "mimetype=application/x-truetype-font"),
        *("-attach", folder / "cover.jpg", "-metadata:s:t:1", "mimetype=image/jpeg", folder / name),
    )
    return folder / name


def facts(path: Path) -> list[tuple[str, str, set[str], str, str]]:
    """Kind, codec, flags, language and title of every stream."""
    contents = read_contents(open_clip(path))[1]
    assert contents
    return [
        (
            *(part.kind, part.codec, set(part.dispositions)),
            *(part.metadata.get("language", "und"), part.metadata.get("title", part.metadata.get("name", ""))),
        )
        for part in contents.parts
    ]


def packets(path: Path, kind: str, number: int = 0) -> list[bytes]:
    with av.open(url(path)) as container:
        return [bytes(packet) for packet in container.demux(**{kind: number}) if packet.size]


def times(path: Path) -> list[Fraction]:
    with av.open(url(path)) as container:
        return [frame.pts * frame.time_base for frame in container.decode(video=0)]


@pytest.mark.slow
@pytest.mark.parametrize("encoder", ["libx264", "libkvazaar"])
def test_matroska_keeps_all_of_a_rich_file(encoder: str, tmp_path: Path) -> None:
    clip = write_rich(tmp_path)
    result = run(clip, tmp_path / "out.mkv", encoder)
    own = "h264" if encoder == "libx264" else "hevc"
    before, after = facts(clip), facts(result.path)
    assert [fact[0] for fact in before] == ["video", "audio", "audio", "subtitle", "attachment", "video"]
    assert after == [("video", own, *before[0][2:]), *before[1:]]
    assert after[1][3:] == ("deu", "Haupttonspur") and after[2][2] == {"default", "comment"}
    assert after[3][2] == {"forced"} and after[5][2] == {"attached_pic"}
    for kind, number in (("audio", 0), ("audio", 1), ("subtitles", 0)):
        assert packets(result.path, kind, number) == packets(clip, kind, number) != []
    with av.open(url(clip)) as source, av.open(url(result.path)) as container:
        assert container.chapters() == source.chapters() and len(source.chapters()) == 2
        assert container.metadata["title"] == "A film"
        assert container.streams.video[0].metadata["TIMECODE"] == "01:00:00:00"
    assert (result.converted, result.not_carried_over) == ((), ())


@pytest.mark.slow
def test_mp4_converts_what_it_must_and_says_what_it_leaves(tmp_path: Path) -> None:
    result = run(write_rich(tmp_path), tmp_path / "out.mp4", "libx265")
    kept = facts(result.path)
    assert kept[0] == ("video", "hevc", {"default"}, "und", "The picture")
    assert kept[1][:2] == ("audio", "aac") and kept[1][3:] == ("deu", "Haupttonspur")
    assert kept[3][:2] == ("subtitle", "mov_text") and kept[3][3] == "fra"
    assert result.converted == ("subtitle stream 3 (subrip, fra) becomes mov_text",)
    assert result.not_carried_over == ("attachment stream 4 (ttf, a font.ttf)",)
    with av.open(url(result.path)) as container:
        assert [chapter["metadata"]["title"] for chapter in container.chapters()] == ["One", "Two"]
        assert container.streams.video[0].codec_context.codec_tag == "hvc1"
        assert container.streams.video[0].metadata["timecode"] == "01:00:00:00"
    content = result.path.read_bytes()
    assert 0 < content.index(b"moov") < content.index(b"mdat")


@pytest.mark.slow
def test_mov_text_becomes_subrip_in_matroska_and_stays_in_mp4(tmp_path: Path) -> None:
    rich, clip = write_rich(tmp_path), tmp_path / "clip.mp4"
    ffmpeg("-i", rich, "-map", "0:v:0", "-map", "0:s", "-c", "copy", "-c:s", "mov_text", clip)
    result = run(clip, tmp_path / "out.mkv")
    assert packets(result.path, "subtitles") == [b"A drifting texture"]
    assert result.converted == ("subtitle stream 1 (mov_text, fra) becomes subrip",) and not result.not_carried_over
    again = run(clip, tmp_path / "out.mp4")
    assert facts(again.path)[1][:2] == ("subtitle", "mov_text") and not again.converted


@pytest.mark.slow
def test_a_bare_stream_names_all_it_leaves_and_a_container_without_its_sound_is_refused(tmp_path: Path) -> None:
    rich = write_rich(tmp_path)
    result = run(rich, tmp_path / "out.264")
    assert len(list(open_clip(result.path))) == 8
    assert len(result.not_carried_over) == 7 and "2 chapters" in result.not_carried_over
    with pytest.raises(InputError, match=r"out.webm takes no audio stream aac \(allowed: .mkv"):
        run(rich, tmp_path / "out.webm", "libvpx-vp9")


@pytest.mark.slow
@pytest.mark.parametrize(("encoder", "suffix"), [("libx264", ".mkv"), ("libx265", ".mp4"), ("libkvazaar", ".mkv")])
def test_hdr10_is_kept(encoder: str, suffix: str, tmp_path: Path) -> None:
    """Mastering display and light levels in the container and, where the encoder states them, in the stream."""
    depth = "yuv420p" if encoder == "libkvazaar" else "yuv420p10le"
    plain, clip = write_clip(tmp_path / "plain.mkv", size=(320, 192), pix_fmt=depth), tmp_path / "hdr.mkv"
    params = f"log-level=none:chromaloc=2:master-display={MASTERING}:max-cll={LIGHT}"
    tags = "setparams=colorspace=bt2020nc:color_primaries=bt2020:color_trc=smpte2084:range=tv"
    ffmpeg(
        "-i", plain, "-vf", tags, "-c:v", "libx265", "-preset", "ultrafast", "-crf", "4", "-x265-params", params, clip
    )
    result = run(clip, tmp_path / f"out{suffix}", encoder)
    info = read_contents(open_clip(result.path))[0].info
    assert (info.look.mastering, info.look.light) == (MASTERING, LIGHT)
    assert (info.matrix, info.primaries, info.transfer, info.range) == ("bt2020nc", "bt2020", "smpte2084", "tv")
    if encoder == "libkvazaar":
        assert result.not_carried_over == ("chroma location topleft",)
        return
    assert info.look.siting == "topleft" and not result.not_carried_over
    bare, stream = tmp_path / f"bare{'.265' if encoder == 'libx265' else '.264'}", ["-map", "0:v:0", "-c", "copy"]
    ffmpeg("-i", result.path, *stream, bare)
    assert read_contents(open_clip(bare))[0].info.look == info.look


@pytest.mark.slow
@pytest.mark.parametrize("number", [8, 14])
def test_rarer_colour_codes_are_kept(number: int, tmp_path: Path) -> None:
    plain, clip = write_clip(tmp_path / "plain.mkv", frames=2), tmp_path / "clip.mkv"
    bsf = f"h264_metadata=matrix_coefficients={number}:transfer_characteristics=17:colour_primaries=12"
    ffmpeg("-i", plain, "-c:v", "libx264", "-crf", "5", "-bsf:v", bsf, clip)
    run(clip, tmp_path / "out.mkv")
    with av.open(url(tmp_path / "out.mkv")) as container:
        context = container.streams.video[0].codec_context
        assert (context.colorspace, context.color_trc, context.color_primaries) == (number, 17, 12)


@pytest.mark.slow
def test_times_are_kept_to_the_tick(tmp_path: Path) -> None:
    """Nearly constant: the rate's own grid would give two frames one time."""
    plain, clip = write_clip(tmp_path / "plain.mkv", frames=8), tmp_path / "clip.mp4"
    gap = "loop=loop=34:size=8,setpts=(N+gt(N\\,140)*2)/30/TB"
    encode = ["-fps_mode", "passthrough", "-enc_time_base", "1/15360", "-c:v", "libx264", "-crf", "12"]
    ffmpeg("-i", plain, "-vf", gap, *encode, clip)
    assert not open_clip(clip).info.variable_rate
    right = times(clip)
    assert right[141] - right[140] == Fraction(3, 30) and len(right) == 280
    assert times(run(clip, tmp_path / "out.mp4").path) == right
    coarse = times(run(clip, tmp_path / "out.mkv").path)
    assert all(abs(one - two) <= Fraction(1, 1000) for one, two in zip(coarse, right, strict=True))
    with pytest.raises(InputError, match="variable frame rate"):
        run(clip, tmp_path / "no.mkv", "libkvazaar")


@pytest.mark.slow
def test_a_clock_that_does_not_begin_at_0_begins_there_in_sync(tmp_path: Path) -> None:
    plain, clip = write_clip(tmp_path / "plain.mkv", frames=16), tmp_path / "clip.ts"
    sound = ["-itsoffset", "0.1", "-f", "lavfi", "-i", "sine=440:r=48000:d=0.6"]
    codecs = ["-c:v", "libx264", "-crf", "4", "-bf", "2", "-c:a", "ac3", "-map", "0", "-map", "1"]
    ffmpeg("-i", plain, *sound, *codecs, clip)

    def starts(path: Path) -> tuple[float, float]:
        with av.open(url(path)) as container:
            first = {stream.type: float(stream.start_time * stream.time_base) for stream in container.streams}
        return first["video"], first["audio"]

    video, audio = starts(clip)
    assert video > 1 and audio > video
    for suffix in (".mp4", ".mkv"):
        begins, sounds = starts(run(clip, tmp_path / f"out{suffix}").path)
        assert abs(begins) < 0.002 and abs((sounds - begins) - (audio - video)) < 0.002


@pytest.mark.slow
def test_the_film_is_encoded_and_not_the_picture_before_it(tmp_path: Path) -> None:
    rich, clip = write_rich(tmp_path), tmp_path / "clip.mkv"
    flags = ["-disposition:v:0", "0", "-disposition:v:1", "default"]
    ffmpeg("-i", tmp_path / "cover.jpg", "-i", rich, "-map", "0:v", "-map", "1:v:0", "-c", "copy", *flags, clip)
    assert open_clip(clip).info.frames is None and len(list(open_clip(clip))) == 8
    result = run(clip, tmp_path / "out.mkv")
    assert result.frames == 8 and [fact[:2] for fact in facts(result.path)] == [("video", "h264"), ("video", "mjpeg")]


@pytest.mark.slow
def test_alpha_and_other_side_data_are_named(tmp_path: Path) -> None:
    plain, clip = write_clip(tmp_path / "plain.mkv", size=(320, 192), frames=2), tmp_path / "clip.mkv"
    ffmpeg("-i", plain, "-vf", "format=yuva420p", "-c:v", "ffv1", clip)
    assert run(clip, tmp_path / "out.mkv").not_carried_over == ("alpha",)


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_names_with_signs_work_and_two_runs_give_one_file(suffix: str, tmp_path: Path) -> None:
    rich = write_rich(tmp_path)
    clip = rich.rename(tmp_path / "-a:b [c] 100%d 'q'.mkv")
    names = [tmp_path / name / f"-o:u [t] %d{suffix}" for name in ("one", "two")]
    for name in names:
        run(clip, name)
    assert names[0].read_bytes() == names[1].read_bytes()
    assert [path.name for path in names[0].parent.iterdir()] == [names[0].name]
