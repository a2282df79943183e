"""Every picture file gives upright RGB pixels or one sentence that names the file."""

import io
import os
import struct
import zlib

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from trees import noise

from mgff_tutorial.support import images
from mgff_tutorial.support.errors import DataError
from mgff_tutorial.support.images import (
    full_scale,
    image_geometry,
    images_per_pass,
    open_image,
    upright_box,
    upright_points,
    upright_size,
)

pytestmark = pytest.mark.filterwarnings(
    "ignore::UserWarning:PIL", "ignore::RuntimeWarning:PIL"
)  # pytest drops ours


def check_fails(path, *words):
    with pytest.raises(DataError) as failure:
        open_image(path)
    assert str(path) in str(failure.value)
    for word in words:
        assert word in str(failure.value)


def corner_picture():
    """30 x 20, red with a green top-left quarter: every orientation looks different."""
    image = Image.new("RGB", (30, 20), "red")
    image.paste("lime", (0, 0, 15, 10))
    image.paste("blue", (15, 0, 30, 10))
    return image


def test_missing_folder_empty_pipe_and_text(tmp_path):
    check_fails(tmp_path / "none.jpg", "does not exist")
    check_fails(tmp_path, "folder")
    (tmp_path / "empty.jpg").touch()
    check_fails(tmp_path / "empty.jpg", "empty")
    (tmp_path / "text.jpg").write_text("<html>404 not found</html>")
    check_fails(tmp_path / "text.jpg", "not an image", "JPEG")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.jpg")
        check_fails(tmp_path / "pipe.jpg", "not a regular file")


def test_link_loop(tmp_path):
    loop = tmp_path / "loop.jpg"
    loop.symlink_to(loop)
    check_fails(loop)


def test_postscript_is_refused(tmp_path):
    """Pillow would start Ghostscript on it."""
    path = tmp_path / "bird.jpg"
    corner_picture().save(path, format="EPS")
    check_fails(path, "not an image")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF"])
def test_truncated_at_every_tenth_byte(tmp_path, kind):
    """Either the picture of a whole file, or a DataError: never another exception, never silent
    grey.
    """
    whole = noise(tmp_path / "whole", (24, 18), format=kind).read_bytes()
    expected = np.asarray(open_image(tmp_path / "whole"))
    refused = 0
    for cut in range(0, len(whole), 10):
        path = tmp_path / "cut.jpg"
        path.write_bytes(whole[:cut])
        try:
            result = np.asarray(open_image(path))
        except DataError as error:
            assert str(path) in str(error)
            refused += 1
        else:  # only trailing bytes that carry no pixels may be missing
            np.testing.assert_array_equal(result, expected)
            assert cut >= 0.9 * len(whole)
    assert refused >= 0.9 * (len(whole) // 10)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_flipped_bytes_never_crash(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("flip")
    kind = data.draw(st.sampled_from(["JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP"]))
    raw = bytearray(noise(folder / "whole", (16, 12), format=kind).read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    path = folder / "flipped"
    path.write_bytes(bytes(raw))
    try:
        result = open_image(path)
    except DataError as error:
        assert str(path) in str(error)
    else:
        assert result.mode == "RGB"


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=200))
def test_random_bytes_are_refused(tmp_path_factory, raw):
    path = tmp_path_factory.mktemp("raw") / "x.png"
    path.write_bytes(raw)
    with pytest.raises(DataError, match="x.png"):
        open_image(path)


@pytest.mark.parametrize(
    "kind,suffix", [("PNG", ".jpg"), ("GIF", ".jpg"), ("JPEG", ".png"), ("WEBP", ".jpeg")]
)
def test_wrong_extension(tmp_path, kind, suffix):
    path = tmp_path / f"bird{suffix}"
    corner_picture().save(path, format=kind)
    image = open_image(path)
    assert image.mode == "RGB" and image.size == (30, 20)
    assert image.getpixel((3, 3))[1] > 200 and image.getpixel((25, 15))[0] > 200


@pytest.mark.parametrize(
    "mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "YCbCr", "LAB", "I", "F", "I;16", "I;16B"]
)
def test_modes(tmp_path, mode):
    """Whatever the mode, a light and a dark half stay light and dark."""
    grey = np.full((20, 30), 40, dtype=np.uint8)
    grey[:, 15:] = 220
    if mode.startswith("I;16"):
        wide = grey.astype("<u2" if mode == "I;16" else ">u2") * 257
        image = Image.frombytes(mode, (30, 20), wide.astype(wide.dtype).tobytes())
    elif mode == "F":
        image = Image.fromarray((grey / 255).astype(np.float32))
    elif mode == "I":
        image = Image.fromarray(grey.astype(np.int32) * 257)
    else:
        image = Image.fromarray(grey).convert("RGB")
        image = (
            image.convert(mode)
            if mode != "LAB"
            else Image.merge("LAB", [Image.fromarray(grey)] * 3)
        )
    path = tmp_path / "x.tif"
    image.save(
        path, compression="tiff_lzw" if mode == "YCbCr" else None
    )  # Pillow 10 can't read its own bare YCbCr
    result = open_image(path)
    assert result.mode == "RGB" and result.size == (30, 20)
    dark, light = (
        np.asarray(result)[:, x].astype(float).mean(axis=(0, 1))
        for x in (slice(5, 12), slice(18, 28))
    )
    assert (light - dark > 80).any()
    if mode != "LAB":
        assert abs(dark - 40).max() <= (15 if mode == "1" else 3)
        assert abs(light - 220).max() <= (15 if mode == "1" else 3)


def test_16_bit_png(tmp_path):
    Image.fromarray(np.full((8, 8), 32896, dtype=np.uint16)).save(tmp_path / "x.png")
    assert open_image(tmp_path / "x.png").getpixel((2, 2)) == (128, 128, 128)


def test_cmyk_jpeg(tmp_path):
    Image.new("RGB", (16, 16), (250, 10, 10)).convert("CMYK").save(tmp_path / "x.jpg", quality=98)
    red, green, blue = open_image(tmp_path / "x.jpg").getpixel((8, 8))
    assert red > 230 and green < 40 and blue < 40


def test_transparency_is_laid_on_white(tmp_path):
    rgba = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    rgba.save(tmp_path / "clear.png")
    assert open_image(tmp_path / "clear.png").getpixel((4, 4)) == (255, 255, 255)
    palette = Image.new("P", (8, 8), 1)
    palette.putpalette([0, 0, 0, 10, 20, 30] + [0] * 762)
    palette.save(tmp_path / "p.png", transparency=0)
    assert open_image(tmp_path / "p.png").getpixel((4, 4)) == (10, 20, 30)
    palette.save(tmp_path / "q.png", transparency=1)
    assert open_image(tmp_path / "q.png").getpixel((4, 4)) == (255, 255, 255)


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_animation_gives_its_first_frame(tmp_path, kind):
    frames = [Image.new("RGB", (9, 7), colour) for colour in ("red", "lime", "blue")]
    frames[0].save(tmp_path / "a", format=kind, save_all=True, append_images=frames[1:])
    red, green, blue = open_image(tmp_path / "a").getpixel((4, 3))
    assert red > 200 and green < 60 and blue < 60


def bomb(width, height):
    """A PNG of a few hundred bytes that claims to be huge."""

    def chunk(kind, body):
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 100))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("size", [(10_001, 10_000), (50_000, 50_000), (2_000_000_000, 1)])
def test_decompression_bomb(tmp_path, size):
    (tmp_path / "bomb.png").write_bytes(bomb(*size))
    check_fails(tmp_path / "bomb.png", "pixels")


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "JPEG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_turns_picture_and_box(tmp_path, orientation, kind):
    upright = corner_picture()
    inverse = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}[orientation]
    stored = upright if inverse is None else upright.transpose(inverse)
    exif = Image.Exif()
    exif[images.ORIENTATION] = orientation
    exact = {"JPEG": {"quality": 100, "subsampling": 0}, "WEBP": {"lossless": True}}.get(kind, {})
    stored.save(tmp_path / "x", format=kind, exif=exif, **exact)
    opened = np.asarray(open_image(tmp_path / "x")).astype(int)
    np.testing.assert_allclose(opened, np.asarray(upright).astype(int), atol=4)
    size, found = image_geometry(tmp_path / "x")
    assert (size, found) == (stored.size, orientation) and upright_size(size, found) == (30, 20)
    # The lime quarter: its box in the stored picture must come out as 0, 0, 15, 10.
    rows, columns = np.nonzero((np.asarray(stored) == (0, 255, 0)).all(axis=2))
    box = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
    np.testing.assert_array_equal(upright_box(box, size, found), (0, 0, 15, 10))
    np.testing.assert_array_equal(upright_points([[0, 0]], (30, 20), 1), [[0, 0]])


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK", "I;16", "1"])
def test_tiff_of_any_mode_is_turned_once(tmp_path, mode):
    """Pillow maps files that it opens by name into memory, and then turns the size of some modes
    but not the pixels.
    """
    upright = np.zeros((30, 20), dtype=np.uint8)
    upright[:10, :5] = 255
    stored = Image.fromarray(np.rot90(upright))
    stored = (
        Image.fromarray(np.asarray(stored).astype(np.uint16) * 257)
        if mode == "I;16"
        else stored.convert("RGB").convert(mode)
    )
    exif = Image.Exif()
    exif[images.ORIENTATION] = 6
    stored.save(tmp_path / "x.tif", exif=exif)
    np.testing.assert_array_equal(np.asarray(open_image(tmp_path / "x.tif"))[:, :, 0], upright)
    assert image_geometry(tmp_path / "x.tif") == ((30, 20), 6)


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_impossible_orientation_is_ignored(tmp_path, value):
    exif = Image.Exif()
    exif[images.ORIENTATION] = value
    corner_picture().save(tmp_path / "x.jpg", exif=exif)
    assert open_image(tmp_path / "x.jpg").size == (30, 20)


def test_broken_exif_is_ignored(tmp_path):
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[images.ORIENTATION] = 6
    corner_picture().save(buffer, "JPEG", exif=exif)
    raw = bytearray(buffer.getvalue())
    start = raw.index(b"Exif\0\0") + 6
    raw[start : start + 12] = b"\xff" * 12
    (tmp_path / "x.jpg").write_bytes(bytes(raw))
    assert open_image(tmp_path / "x.jpg").size == (30, 20)


def test_not_finite_float_picture(tmp_path):
    Image.fromarray(np.full((4, 4), np.nan, dtype=np.float32)).save(tmp_path / "x.tif")
    check_fails(tmp_path / "x.tif", "finite")


def test_file_is_closed(tmp_path):
    """A million files are read in one process."""
    path = noise(tmp_path / "x.png")
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    for _ in range(20):
        open_image(path)
    after = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    assert after <= before


@pytest.mark.parametrize("ending", ["jpg", "png"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_large_pictures_are_reduced_as_they_are_decoded(tmp_path, ending, orientation):
    size, least = (2050, 1301), 300
    rows = np.linspace(0, 255, size[1])[:, None, None] * np.ones((1, size[0], 3))
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"large.{ending}"
    Image.fromarray(rows.astype(np.uint8)).save(path, exif=exif)
    whole, small = open_image(path), open_image(path, least)
    assert small.info["full_size"] == whole.size and least <= min(small.size) < 2 * least
    assert full_scale(small) == (whole.width / small.width, whole.height / small.height)
    assert 3.9 < full_scale(small)[0] < 4.1 and full_scale(whole) == (1, 1)
    shrunk = np.asarray(whole.resize(small.size, Image.Resampling.BOX), dtype=float)
    assert np.abs(shrunk - np.asarray(small)).mean() < 1.5


def test_small_pictures_stay_as_they_are(tmp_path):
    path = tmp_path / "small.png"
    Image.fromarray(np.arange(90 * 80 * 3, dtype=np.uint8).reshape(90, 80, 3)).save(path)
    assert open_image(path, 41).tobytes() == open_image(path).tobytes()
    assert open_image(path, 40).size == (40, 45)


def test_a_pass_holds_as_many_images_as_fit():
    assert images_per_pass([Image.new("RGB", (500, 400))]) == 64
    assert images_per_pass([Image.new("RGB", (10, 10)), Image.new("RGB", (3000, 2000))]) == 3
    assert images_per_pass([torch.zeros(3, 10_000, 10_000, dtype=torch.uint8)]) == 1
