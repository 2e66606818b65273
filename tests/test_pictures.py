"""Pictures that are damaged in every way, and archives that are no better."""

import os
import struct
import zipfile
import zlib

import numpy as np
import pandas as pd
import pytest
from builders import encoded, pixels
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from prodrec.core import ImageError
from prodrec.data.catalog import Catalog
from prodrec.data.pictures import (
    check_upload,
    decode,
    read_image,
    read_ref,
    store_url,
    thumbnail,
    zip_members,
)

quick = settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
WORDS = {"truncated", "unreadable", "too large"}


# -- pictures that are damaged


FORMATS = {
    "jpeg": encoded(pixels(), "JPEG"),
    "progressive": encoded(pixels(), "JPEG", progressive=True),
    "png": encoded(pixels()),
    "interlaced": encoded(Image.fromarray(pixels()).convert("P")),
    "webp": encoded(pixels(), "WEBP"),
    "lossless": encoded(pixels(), "WEBP", lossless=True),
    "gif": encoded(pixels(), "GIF"),
    "moving": encoded(
        pixels(), "GIF", save_all=True, append_images=[Image.fromarray(pixels(seed=1))]
    ),
    "bmp": encoded(pixels(), "BMP"),
    "tiff": encoded(pixels(), "TIFF"),
}


def decodes_or_says_why(data):
    "The array, or None where `ImageError` is raised; anything else fails the test."
    try:
        out = decode(data)
    except ImageError as e:
        assert e.reason in WORDS and e.detail
        return None
    assert out.dtype == np.uint8 and out.ndim == 3 and out.shape[2] == 3
    return out


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, about tags
@pytest.mark.parametrize("name", FORMATS)
def test_pictures_that_are_cut_off(name):
    data = FORMATS[name]
    assert decode(data).shape == (20, 30, 3)
    for k in {*range(0, len(data), max(1, len(data) // 60)), *range(len(data) - 6, len(data))}:
        out = decodes_or_says_why(data[:k])
        assert out is None or out.shape == (20, 30, 3), f"cut at {k} of {len(data)}"
    half = decodes_or_says_why(data[: len(data) // 2])
    assert half is None or name == "moving"


@pytest.mark.filterwarnings("ignore::UserWarning")
@settings(quick, max_examples=150)
@given(st.sampled_from(sorted(FORMATS)), st.data())
def test_pictures_with_wrong_bytes(name, data):
    broken = bytearray(FORMATS[name])
    for at in data.draw(st.lists(st.integers(0, len(broken) - 1), min_size=1, max_size=5)):
        broken[at] = data.draw(st.integers(0, 255))
    decodes_or_says_why(bytes(broken))


@quick
@given(
    st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"RIFF\x20\0\0\0WEBP"]),
    st.binary(),
)
def test_what_is_no_picture(beginning, rest):
    assert decodes_or_says_why(beginning + rest) is None or rest


def forged_jpeg(height, width, before=b""):
    data = FORMATS["jpeg"]
    at = data.index(b"\xff\xc0")
    return (
        data[:at] + before + data[at : at + 5] + struct.pack(">HH", height, width) + data[at + 9 :]
    )


def forged_png(height, width):
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = FORMATS["png"]
    return data[:16] + head + struct.pack(">I", zlib.crc32(b"IHDR" + head)) + data[33:]


def forged_gif(height, width):
    return FORMATS["gif"][:6] + struct.pack("<HH", width, height) + FORMATS["gif"][10:]


def forged_webp(height, width):
    bits = struct.pack("<I", (width - 1) | (height - 1) << 14)
    at = FORMATS["lossless"].index(b"VP8L") + 9
    return FORMATS["lossless"][:at] + bits + FORMATS["lossless"][at + 4 :]


@pytest.mark.parametrize("forged", [forged_jpeg, forged_png, forged_gif, forged_webp])
def test_bombs_are_refused_before_they_go_off(forged):
    assert decode(forged(20, 30)).shape == (20, 30, 3)
    with pytest.raises(ImageError, match="8000 x 8000 is more than 40,000,000 pixels") as e:
        decode(forged(8000, 8000))
    assert e.value.reason == "too large"
    with pytest.raises(ImageError) as e:  # beyond what Pillow itself takes
        decode(forged(16383, 16383))
    assert e.value.reason == "too large"


@pytest.mark.parametrize(
    "before", [b"xx", b"\xff\xff", b"\xff\0", b"\xff\xd0", b"\xff\x01", b"\xff\xfe\0\4ab", b"\0"]
)
def test_nothing_hides_a_jpeg_bomb(before):
    "libjpeg passes over what stands between two segments; the limit must not be passed with it."
    assert decodes_or_says_why(forged_jpeg(20, 30, before)).shape == (20, 30, 3)
    for size in (16000, 65000):
        with pytest.raises(ImageError) as e:
            decode(forged_jpeg(size, size, before))
        assert e.value.reason == "too large"


def test_max_pixels():
    for data in FORMATS.values():
        assert decode(data, max_pixels=600).shape == (20, 30, 3)
        with pytest.raises(ImageError, match="more than 599 pixels"):
            decode(data, max_pixels=599)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation(format, orientation):
    upright = np.full((16, 24, 3), 255, np.uint8)
    upright[:8, :8] = 0  # one dark corner shows how it is turned
    turn = Image.Transpose
    undo = [
        None,
        turn.FLIP_LEFT_RIGHT,
        turn.ROTATE_180,
        turn.FLIP_TOP_BOTTOM,
        turn.TRANSPOSE,
        turn.ROTATE_90,
    ]
    undo += [turn.TRANSVERSE, turn.ROTATE_270]  # what a camera has done that wrote this orientation
    stored = Image.fromarray(upright)
    stored = stored if orientation == 1 else stored.transpose(undo[orientation - 1])
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = (
        {"quality": 100, "subsampling": 0}
        if format == "JPEG"
        else {"lossless": True}
        if format == "WEBP"
        else {}
    )
    out = decode(encoded(stored, format, exif=exif, **options))
    assert out.shape == (16, 24, 3)
    assert np.abs(out.astype(int) - upright).max() <= 8


def test_every_mode_becomes_rgb():
    red = Image.new("RGB", (16, 12), (200, 30, 60))
    for mode, close in [("CMYK", 8), ("L", 0), ("1", 0), ("P", 55), ("YCbCr", 8)]:
        picture = red.convert(mode)
        format = "JPEG" if mode in ("CMYK", "YCbCr") else "PNG"
        out = decode(encoded(picture, format))
        wanted = np.asarray(
            red if mode in ("CMYK", "YCbCr", "P") else picture.convert("RGB")
        ).astype(int)
        assert out.shape == (12, 16, 3) and np.abs(out - wanted).max() <= close, mode
    grey = decode(encoded(red.convert("L"), "JPEG"))
    assert grey.shape == (12, 16, 3) and (grey[..., 0] == grey[..., 2]).all()


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_sixteen_bits_are_scaled(format):
    deep = Image.fromarray(np.array([[0, 257 * 100, 65535]], np.uint16))
    assert decode(encoded(deep, format))[0, :, 0].tolist() == [0, 100, 255]


def test_transparency_becomes_white():
    clear = Image.new("RGBA", (4, 4), (255, 0, 0, 0))
    half = Image.new("RGBA", (4, 4), (0, 0, 0, 128))
    for format in ("PNG", "WEBP"):
        assert (decode(encoded(clear, format)) == 255).all()
        assert (
            abs(
                int(
                    decode(
                        encoded(half, format, **({"lossless": True} if format == "WEBP" else {}))
                    )[0, 0, 0]
                )
                - 127
            )
            <= 2
        )
    palette = Image.new("P", (4, 4), 1)
    palette.putpalette([0, 0, 0, 10, 200, 30])
    assert (decode(encoded(palette, "PNG")) == (10, 200, 30)).all()
    assert (decode(encoded(palette, "PNG", transparency=1)) == 255).all()
    assert (decode(encoded(palette, "GIF", transparency=1)) == 255).all()
    assert (decode(encoded(Image.new("LA", (4, 4), (0, 0)))) == 255).all()
    assert (decode(encoded(Image.new("L", (4, 4), 7), transparency=7)) == 255).all()


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF"])
def test_one_pixel(format):
    assert decode(encoded(Image.new("RGB", (1, 1), "white"), format)).tolist() == [
        [[255, 255, 255]]
    ]


def test_thumbnails_of_extreme_shapes():
    for shape in [(1, 1), (1, 5000), (5000, 1), (7, 3)]:
        small = decode(thumbnail(np.zeros((*shape, 3), np.uint8), 96))
        assert max(small.shape) <= 96 and min(small.shape[:2]) >= 1


# -- archives


@pytest.fixture
def archive(tmp_path):
    path = tmp_path / "pictures.zip"
    ways = {"stored": 0, "deflated": 8, "bz2": 12, "lzma": 14, "Schuhe/größe 鞋.png": 8}
    with zipfile.ZipFile(path, "w") as z:
        for name, way in ways.items():
            z.writestr(name, FORMATS["bmp"] * 3, compress_type=way)
    return path, list(ways)


def test_members_of_every_kind(archive):
    path, members = archive
    for member in members:
        assert read_ref(f"{path}!/{member}") == FORMATS["bmp"] * 3
        with zipfile.ZipFile(path) as z:
            assert read_ref(f"{path}!/{member}") == z.read(member)
    with pytest.raises(ImageError, match="no 'nothing' in") as e:
        read_ref(f"{path}!/nothing")
    assert e.value.reason == "missing"


def test_members_that_are_damaged(archive):
    path, members = archive
    with zipfile.ZipFile(path) as z:
        starts = {i.filename: i.header_offset + 30 + len(i.filename.encode()) for i in z.infolist()}
    whole = path.read_bytes()
    for n, member in enumerate(members):
        for distance in (0, 3, 20):
            bad = path.with_name(f"bad{n}-{distance}.zip")
            data = bytearray(whole)
            data[starts[member] + distance] ^= 0x55
            bad.write_bytes(data)
            if (member, distance) == ("lzma", 0):  # the version of the packer, which nobody reads
                continue
            with pytest.raises(ImageError) as e:
                read_ref(f"{bad}!/{member}")
            assert e.value.reason == "unreadable"
            other = members[n - 1]
            assert (
                read_ref(f"{bad}!/{other}") == FORMATS["bmp"] * 3
            )  # the rest is as good as before


def test_archives_that_are_cut_off(archive):
    path, members = archive
    whole = path.read_bytes()
    for n, k in enumerate([0, 1, 30, len(whole) // 2, len(whole) - 30, len(whole) - 1]):
        cut = path.with_name(f"cut{n}.zip")
        cut.write_bytes(whole[:k])
        with pytest.raises(ImageError) as e:
            read_ref(f"{cut}!/{members[0]}")
        assert e.value.reason == "unreadable"


@quick
@given(st.data())
def test_archives_with_wrong_bytes(tmp_path, data):
    path = tmp_path / f"{data.draw(st.uuids())}.zip"
    with zipfile.ZipFile(path, "w") as z:
        z.writestr("a", FORMATS["png"], compress_type=data.draw(st.sampled_from([0, 8])))
    broken = bytearray(path.read_bytes())
    central = broken.index(b"PK\1\2")
    at = st.integers(0, 29) | st.integers(central, len(broken) - 1)
    for k in data.draw(st.lists(at, min_size=1, max_size=3)):
        broken[k] = data.draw(st.integers(0, 255))
    path.write_bytes(broken)
    try:
        out = read_ref(f"{path}!/a")
    except ImageError as e:
        assert e.reason in ("missing", "unreadable")
    else:
        assert out == FORMATS["png"]
    path.unlink()


def test_encrypted_members(archive):
    path, members = archive
    data = bytearray(path.read_bytes())
    data[6] |= 1
    data[data.index(b"PK\1\2") + 8] |= 1
    path.write_bytes(data)
    with pytest.raises(ImageError, match="encrypted") as e:
        read_ref(f"{path}!/{members[0]}")
    assert e.value.reason == "unreadable"


def test_an_archive_that_is_replaced(archive):
    path, _ = archive
    before = os.stat(path)
    assert read_ref(f"{path}!/stored") == FORMATS["bmp"] * 3
    new = path.with_name("new.zip")
    with zipfile.ZipFile(new, "w") as z:
        z.writestr("stored", b"other")
    os.utime(new, ns=(before.st_atime_ns, before.st_mtime_ns + 1_000_000))
    os.replace(new, path)
    assert read_ref(f"{path}!/stored") == b"other"
    with pytest.raises(ImageError, match="no 'deflated'"):
        read_ref(f"{path}!/deflated")
    path.unlink()
    with pytest.raises(ImageError, match="no archive") as e:
        read_ref(f"{path}!/stored")
    assert e.value.reason == "missing"


def test_places_that_are_no_archive(tmp_path):
    (tmp_path / "file").write_bytes(b"x")
    for ref in (
        f"{tmp_path}!/a",
        f"{tmp_path}/file!/a",
        f"{tmp_path}/file/b.zip!/a",
        f"{tmp_path}/no.zip!/a",
        "a\0b!/c",
    ):
        with pytest.raises(ImageError) as e:
            read_ref(ref)
        assert e.value.reason in ("missing", "unreadable")
    for ref in (
        str(tmp_path),
        f"{tmp_path}/no.png",
        "a\0b",
        f"{tmp_path}/file/x.png",
        "x" * 5000,
        None,
    ):
        with pytest.raises(ImageError) as e:
            read_ref(ref)
        assert e.value.reason == "missing"


# -- whatever is a picture


def test_every_kind_of_picture(tmp_path):
    wanted = pixels()
    data = FORMATS["png"]
    (tmp_path / "a.png").write_bytes(data)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as z:
        z.writestr("a.png", data)
    catalog = Catalog(pd.DataFrame({"image": [data, None]}, index=["p", "q"]))
    lazy = Image.open(tmp_path / "a.png")
    kinds = [
        data,
        bytearray(data),
        memoryview(data),
        wanted,
        lazy,
        Image.fromarray(wanted),
        tmp_path / "a.png",
    ]
    kinds += [str(tmp_path / "a.png"), f"{tmp_path}/a.zip!/a.png", "p"]
    for kind in kinds:
        np.testing.assert_array_equal(read_image(kind, catalog), wanted)
    for mode in ("L", "P", "RGBA", "LA", "1", "CMYK", "I;16", "F"):
        out = read_image(Image.new(mode, (3, 2)))
        assert out.shape == (2, 3, 3) and out.dtype == np.uint8, mode


def test_what_is_no_kind_of_picture(tmp_path):
    for wrong in (1, None, 1.5, ["a"], {"a": 1}, object()):
        with pytest.raises(TypeError, match="a picture is a path, URL, bytes"):
            read_image(wrong)
    arrays = [
        np.zeros((2, 2)),
        np.zeros((2, 2, 3)),
        np.zeros((2, 2, 4), np.uint8),
        np.zeros((0, 2, 3), np.uint8),
    ]
    for wrong in arrays:
        with pytest.raises(ValueError, match="an array must be uint8"):
            read_image(wrong)
    (tmp_path / "cut.png").write_bytes(encoded(pixels(200, 300))[:-900])
    with Image.open(tmp_path / "cut.png") as lazy, pytest.raises(ImageError) as e:
        read_image(lazy)
    assert e.value.reason == "truncated"
    catalog = Catalog(pd.DataFrame({"image": [None]}, index=["p"]))
    with pytest.raises(ImageError, match="picture of product 'p' is missing"):
        read_image("p", catalog)


# -- what cameras and other tools write


def test_a_film_behind_a_photograph_is_passed_over():
    for film in (b"\0\0\0\x18ftypmp42" + os.urandom(5000), bytes(70_000), b"\xff" * 3000):
        for kind in ("jpeg", "progressive"):
            out = decode(FORMATS[kind] + film)
            np.testing.assert_array_equal(out, decode(FORMATS[kind]))
            with pytest.raises(ImageError) as e:  # the picture itself is cut off
                decode(
                    FORMATS[kind][: len(FORMATS[kind]) * 2 // 3] + film.replace(b"\xff\xd9", b"")
                )
            assert e.value.reason == "truncated"


def test_the_end_of_a_thumbnail_is_not_the_end_of_the_picture():
    small = encoded(pixels(8, 8), "JPEG")
    block = b"\xff\xe1" + struct.pack(">H", len(small) + 2) + small
    whole = FORMATS["jpeg"][:2] + block + FORMATS["jpeg"][2:]
    assert decode(whole).shape == (20, 30, 3)
    with pytest.raises(ImageError, match="without its end"):
        decode(whole[:-40] + bytes(2000))


def test_the_first_frame_of_a_camera_file_is_the_picture():
    preview = Image.fromarray(pixels(10, 15))
    data = encoded(pixels(), "MPO", save_all=True, append_images=[preview])
    assert check_upload(data).shape == decode(data).shape == (20, 30, 3)
    film = encoded(pixels(), "WEBP", save_all=True, append_images=[Image.fromarray(pixels(seed=1))])
    with pytest.raises(ImageError, match="an animation"):
        check_upload(film)


def test_members_are_found_by_any_spelling(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as z:
        z.writestr(zipfile.ZipInfo("ds\\cafe\u0301\\1.png"), FORMATS["png"])
        z.writestr(zipfile.ZipInfo("ds\\"), b"")
    assert zip_members(path) == ["ds/caf\u00e9/1.png"]
    for name in ("ds/caf\u00e9/1.png", "ds\\cafe\u0301\\1.png", "./ds/caf\u00e9/1.png"):
        assert read_ref(f"{path}!/{name}") == FORMATS["png"]


def test_addresses_in_every_spelling(tmp_path):
    (tmp_path / "a b.png").write_bytes(FORMATS["png"])
    uri = (tmp_path / "a b.png").as_uri()
    for spelling in (uri, " " + uri, uri.replace("file:", "FILE:"), str(tmp_path / "a b.png")):
        np.testing.assert_array_equal(read_image(spelling), pixels())
    store_url("https://x.example/1.png", FORMATS["png"])
    for spelling in ("HTTPS://x.example/1.png", "//x.example/1.png", "\thttps://x.example/1.png"):
        np.testing.assert_array_equal(read_image(spelling), pixels())


def progressive(scans: int) -> bytes:
    "Return a progressive JPEG whose last scan comes again and again."
    data = encoded(pixels(64, 64), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * scans + b"\xff\xd9"


def test_a_jpeg_of_too_many_scans_is_refused_before_it_is_decoded():
    assert check_upload(encoded(pixels(64, 64), "JPEG", progressive=True)).shape == (64, 64, 3)
    with pytest.raises(ImageError, match="scans"):
        check_upload(progressive(4_000))


def test_no_other_decoder_is_tried_than_that_of_the_first_bytes():
    photo_cd = b"\x89PNG\r\n\x1a\n".ljust(2048, b"\0") + b"PCD_OPA".ljust(1539, b"\0")
    photo_cd += bytes(96 * 2048)
    photo_cd += bytes(768 * 512 * 3)
    with pytest.raises(ImageError):
        check_upload(photo_cd)
