"""Generated corpora repeat byte for byte, load like the real ones, and hold what their masks say."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from corpora.loader import load_clips, load_pairs
from corpora.scenes import make_scene, pink_noise
from corpora.synth import ClipOptions, ImageOptions, write_clips, write_images, yuv420
from harness.errors import InputError
from tests.helpers.commands import run

IMAGES = ImageOptions(count=8, size=(160, 120))
CLIPS = ClipOptions(count=3, frames=6, size=(160, 96))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("synth")
    write_images(out, IMAGES)
    write_clips(out, CLIPS)
    return out


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(out: Path, tmp_path: Path) -> None:
    write_images(tmp_path, IMAGES)
    write_clips(tmp_path, CLIPS)
    assert contents(tmp_path) == contents(out)
    other = write_images(tmp_path / "other", ImageOptions(count=8, size=(160, 120), seed=1))
    same = [name for name, data in contents(other).items() if contents(out / "synth").get(name) == data]
    assert not same


@pytest.mark.slow
def test_pairs_load_and_hold_objects_of_many_sizes(out: Path) -> None:
    pairs = load_pairs("synth", out)
    assert len(pairs) == 8
    shares = []
    for pair in pairs:
        image, mask = np.asarray(Image.open(pair.image)), np.asarray(Image.open(pair.mask))
        assert image.shape == (120, 160, 3) and mask.shape == (120, 160) and set(np.unique(mask)) == {0, 255}
        shares.append((mask > 0).mean())
    assert min(shares) > 0.01 and max(shares) < 0.5 and max(shares) > 2 * min(shares)


def test_clips_load_and_decode_with_one_mask_per_frame(out: Path) -> None:
    clips = load_clips("synth-clips", out)
    assert [clip.name for clip in clips] == ["00-still", "01-pan", "02-faint"]
    for clip in clips:
        with av.open(str(clip.frames)) as container:
            frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        masks = [np.asarray(Image.open(path)) > 0 for path in sorted(clip.masks.iterdir())]
        assert len(frames) == len(masks) == 6 and frames[0].shape[:2] == masks[0].shape == (96, 160)
        assert (masks[0] != masks[-1]).any()


def test_the_mask_moves_with_the_object_and_only_a_panning_camera_moves_the_ground() -> None:
    still = make_scene((5,), (160, 96), moving=True, low_contrast=False)
    pan = make_scene((5,), (160, 96), moving=True, panning=True, low_contrast=False)
    corner = (slice(0, 12), slice(0, 12))
    (first, mask), (last, moved) = still.render(0.0), still.render(0.9)
    assert (mask != moved).any() and not mask[corner].any() and not moved[corner].any()
    ground = np.abs(first[corner].astype(int) - last[corner]).mean()
    panned = np.abs(pan.render(0.0)[0][corner].astype(int) - pan.render(0.9)[0][corner]).mean()
    assert ground < 2.5 < panned  # frames differ by their noise, deviation 1 each, when nothing moves


@pytest.mark.slow
def test_the_object_stands_out_less_when_contrast_is_low() -> None:
    def contrast(low: bool) -> float:
        steps = []
        for seed in range(12):
            frame, mask = make_scene((seed,), (160, 120), low_contrast=low).render()
            steps.append(np.linalg.norm(frame[mask].mean(0) - frame[~mask].mean(0)))
        return float(np.mean(steps))

    assert contrast(low=True) < 0.6 * contrast(low=False)


@pytest.mark.parametrize("slope", [0.7, 1.0, 1.5])
def test_noise_has_the_slope_it_was_asked_for(slope: float) -> None:
    noise = pink_noise(np.random.default_rng(0), (256, 256), slope)
    power = np.abs(np.fft.rfft2(noise)) ** 2
    radius = np.hypot(np.fft.fftfreq(256)[:, None], np.fft.rfftfreq(256)[None])
    rings = [(low, power[(radius >= low) & (radius < 1.25 * low)].mean()) for low in (0.02, 0.04, 0.08, 0.16, 0.32)]
    fit = np.polyfit(np.log([r for r, _ in rings]), np.log([p for _, p in rings]), 1)[0]
    assert fit == pytest.approx(-2 * slope, abs=0.15)
    assert noise.mean() == pytest.approx(0, abs=1e-9) and noise.std() == pytest.approx(1)


def test_colours_survive_the_way_through_y4m() -> None:
    image = np.zeros((2, 8, 3), np.uint8)
    image[:, 0:2], image[:, 2:4], image[:, 4:6], image[:, 6:8] = (255, 255, 255), (255, 0, 0), (0, 0, 255), (0, 0, 0)
    planes = np.frombuffer(yuv420(image), np.uint8)
    assert planes[:8].tolist() == [235, 235, 81, 81, 41, 41, 16, 16]
    assert planes[16:20].tolist() == [128, 90, 240, 128] and planes[20:].tolist() == [128, 240, 110, 128]


@pytest.mark.slow
def test_a_student_segments_them_far_better_than_the_centre_prior(shared: Path) -> None:
    ort = pytest.importorskip("onnxruntime")
    student = ort.InferenceSession(str(shared / "weights/upstream_saliency_student_v2.onnx"))
    y, x = np.mgrid[-1:1:240j, -1:1:320j]
    centre = np.hypot(x, y) < 0.55
    scores, prior = [], []
    for index in range(8):
        frame, mask = make_scene((0, 0, index), (320, 240), low_contrast=index % 4 == 3).render()
        normal = (frame.astype(np.float32) / 255 - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)
        found = student.run(None, {"input": normal.transpose(2, 0, 1)[None].astype(np.float32)})[0][0, 0] >= 0.5
        scores.append((found & mask).sum() / (found | mask).sum())
        prior.append((centre & mask).sum() / (centre | mask).sum())
    assert np.mean(scores) > 0.6 and np.mean(scores) > 2 * np.mean(prior)


def test_writing_again_keeps_what_is_there_and_other_options_are_refused(out: Path) -> None:
    stamp = (out / "synth/images/0000.png").stat().st_mtime_ns
    write_images(out, IMAGES)
    assert (out / "synth/images/0000.png").stat().st_mtime_ns == stamp
    with pytest.raises(InputError, match=r"synth exists and was not written with these options"):
        write_images(out, ImageOptions(count=9, size=(160, 120)))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("--clip-size 3x5", "clips of 3x5 pixels (allowed: sides of 32 to 8192)"),
        ("--clip-size 321x192", "clips of 321x192 pixels (allowed: even sides"),
        ("--size 99999x99999", "images of 99999x99999 pixels (allowed: sides of 32 to 8192)"),
        ("--clip-size 64x8194", "clips of 64x8194 pixels"),
    ],
)
def test_both_sizes_are_checked_before_anything_is_written(words: str, says: str, tmp_path: Path) -> None:
    done = run("corpora", "synth", tmp_path / "out", "--images", 1, "--clips", 1, "--frames", 1, *words.split())
    assert isinstance(done.exception, InputError) and says in str(done.exception)
    assert list(tmp_path.iterdir()) == []


def test_bad_options_and_a_failure_midway_leave_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"0 images"):
        write_images(tmp_path, ImageOptions(count=0))
    with pytest.raises(InputError, match=r"16x200.*sides of 32"):
        write_images(tmp_path, ImageOptions(size=(16, 200)))
    with pytest.raises(InputError, match=r"161x96.*even"):
        write_clips(tmp_path, ClipOptions(size=(161, 96)))

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_images(tmp_path, IMAGES, progress=stop)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot write"):
        write_images(tmp_path / "file", IMAGES)
