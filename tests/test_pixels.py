"""The pixel store under every order, under two writers, after a crash; batches and networks over
any number of pictures.
"""

import io
import os
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from prodrec.core import ImageError, cache_dir
from prodrec.data.catalog import Catalog
from prodrec.data.pictures import decode
from prodrec.models.epochs import Batches
from prodrec.models.pixels import FITS, apply_network, augmentation, fit_size, load_pixels

quick = settings(max_examples=30, deadline=None)


def encoded(seed, height=20, width=30, format="PNG"):
    "A picture that no other seed has, as the bytes of a file."
    out = io.BytesIO()
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)
    Image.fromarray(noise).save(out, format)
    return out.getvalue()


def shop(pictures):
    frame = pd.DataFrame({"image": pd.Series(pictures, dtype=object)})
    return Catalog(frame.set_axis([f"p{n}" for n in range(len(frame))], axis=0))


@pytest.fixture(autouse=True)
def own_store(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("PRODREC_CACHE", str(tmp_path_factory.mktemp("store")))


def agrees(catalog, image_size, fit="pad"):
    "Whether the store gives what decoding would, for a slice, positions, a mask and one."
    pixels = load_pixels(catalog, image_size, fit)
    wanted, bad = {}, []
    for i in catalog:
        try:
            wanted[i] = fit_size(decode(catalog.open(i)), image_size, fit)
        except ImageError as e:
            bad.append((i, e.reason))
    assert pixels.ids == list(wanted) and len(pixels) == len(wanted)
    assert list(pixels.failed[["id", "reason"]].itertuples(index=False, name=None)) == bad
    assert pixels.shape == (len(wanted), *image_size, 3)
    every = np.stack(list(wanted.values())) if wanted else np.empty(pixels.shape, np.uint8)
    np.testing.assert_array_equal(pixels[:], every)
    turned = np.arange(len(every))[::-1]
    np.testing.assert_array_equal(pixels[turned], every[::-1])
    np.testing.assert_array_equal(pixels[turned % 2 == 0], every[turned % 2 == 0])
    for n in range(len(every)):
        np.testing.assert_array_equal(pixels[n], every[n])
    return pixels


broken = st.sampled_from([None, b"no picture", encoded(1)[:90], "/no/such/file.png"])
pictures = st.lists(st.integers(0, 5).map(encoded) | broken, min_size=1, max_size=12)


@quick
@given(pictures, st.sampled_from(FITS), st.sampled_from([(8, 6), (20, 30), (33, 7)]))
def test_the_store_gives_what_decoding_gives(own, fit, size):
    "The store is kept from one example to the next: what it holds already must not matter."
    agrees(shop(own), size, fit)


def test_more_than_a_chunk_and_what_failed():
    pictures = [encoded(n % 300, 5, 4) if n % 7 else [None, b"junk"][n % 2] for n in range(700)]
    agrees(shop(pictures), (4, 4))
    agrees(shop(pictures[::-1]), (4, 4))


def test_pictures_are_decoded_once(monkeypatch):
    catalog = shop([encoded(n % 10) for n in range(40)])
    first = load_pixels(catalog, (6, 6))[:]
    store = cache_dir("pixels", "6x6-pad") / "pixels.u8"
    assert store.stat().st_size <= 40 * 6 * 6 * 3
    size = store.stat().st_size
    monkeypatch.setattr("prodrec.models.pixels.decode", lambda data: pytest.fail("decoded again"))
    np.testing.assert_array_equal(load_pixels(catalog, (6, 6))[:], first)
    np.testing.assert_array_equal(load_pixels(catalog[catalog.ids[::-1]], (6, 6))[:], first[::-1])
    assert store.stat().st_size == size


FILL = """
import sys, time
from prodrec.models import pixels
from prodrec.data.catalog import Catalog
slow, decode = float(sys.argv[2]), pixels.decode
def slowly(data):
    time.sleep(slow)
    return decode(data)
pixels.decode = slowly
print("begins", flush=True)
out = pixels.load_pixels(Catalog.load(sys.argv[1]), (16, 12), threads=1)
print(int(out[:].astype(int).sum()), len(out))
"""


def filling(folder, slow=0.0):
    process = [sys.executable, "-c", FILL, str(folder), str(slow)]
    return subprocess.Popen(process, stdout=subprocess.PIPE, text=True)


@pytest.fixture
def big(tmp_path):
    catalog = shop([encoded(n, 16, 12) for n in range(1100)])
    catalog.save(tmp_path / "catalog")
    return catalog, tmp_path / "catalog"


def test_two_processes_fill_one_store(big):
    catalog, folder = big
    other = filling(folder, slow=0.0005)
    assert other.stdout.readline() == "begins\n"
    wanted = np.stack([catalog.pixels(i) for i in catalog])
    np.testing.assert_array_equal(load_pixels(catalog, (16, 12))[:], wanted)
    assert other.communicate(timeout=100)[0].split() == [str(wanted.astype(int).sum()), "1100"]
    assert other.returncode == 0
    assert (cache_dir("pixels", "16x12-pad") / "digests").stat().st_size == 1100 * 16


def test_a_fill_that_is_killed_is_finished_later(big):
    catalog, folder = big
    process = filling(folder, slow=0.002)
    digests = cache_dir("pixels", "16x12-pad") / "digests"
    until = time.monotonic() + 60
    while (
        time.monotonic() < until
        and process.poll() is None
        and not (digests.exists() and digests.stat().st_size)
    ):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    kept = digests.stat().st_size // 16
    assert 0 < kept < 1100
    pixels = load_pixels(catalog, (16, 12))
    np.testing.assert_array_equal(pixels[:], np.stack([catalog.pixels(i) for i in catalog]))
    assert digests.stat().st_size == 1100 * 16  # what was there was not decoded again


@pytest.mark.parametrize("file", ["pixels.u8", "digests"])
@pytest.mark.parametrize("cut", [1, 15, 16, 17, 1000, 10**9])
def test_a_store_that_was_cut_is_repaired(file, cut):
    catalog = shop([encoded(n) for n in range(12)])
    before = load_pixels(catalog, (9, 7))[:]
    path = cache_dir("pixels", "9x7-pad") / file
    os.truncate(path, max(0, path.stat().st_size - cut))
    np.testing.assert_array_equal(load_pixels(catalog, (9, 7))[:], before)
    agrees(shop([encoded(n) for n in range(5, 20)]), (9, 7))


def test_rows_that_were_half_written_are_written_over():
    catalog = shop([encoded(n) for n in range(5)])
    before = load_pixels(catalog, (9, 7))[:]
    folder = cache_dir("pixels", "9x7-pad")
    with open(folder / "pixels.u8", "ab") as f:
        f.write(b"\7" * (9 * 7 * 3 + 5))  # a row without its digest, and a part of one
    both = shop([encoded(n) for n in range(8)])
    agrees(both, (9, 7))
    np.testing.assert_array_equal(load_pixels(catalog, (9, 7))[:], before)


def test_wrong_sizes_and_fits():
    catalog = shop([encoded(0)])
    for wrong in (0, 8, (8,), (8, 0), (8, 8, 3), "8x8", None, (8, -1)):
        with pytest.raises(ValueError, match="`image_size` must be"):
            load_pixels(catalog, wrong)
    for call in (
        lambda: load_pixels(catalog, (8, 8), "squash"),
        lambda: fit_size(decode(encoded(0)), (8, 8), "squash"),
    ):
        with pytest.raises(ValueError, match="`fit_mode` must be one of"):
            call()


side = st.integers(1, 40)


@quick
@given(side, side, side, side, st.sampled_from(FITS))
def test_every_shape_fits(h, w, height, width, fit):
    white = np.full((h, w, 3), 255, np.uint8)
    black = np.zeros((h, w, 3), np.uint8)
    for picture in (white, black):
        before = picture.copy()
        out = fit_size(picture, (height, width), fit)
        assert (
            out.shape == (height, width, 3) and out.dtype == np.uint8 and out.flags["C_CONTIGUOUS"]
        )
        np.testing.assert_array_equal(picture, before)
    assert (fit_size(white, (height, width), fit) == 255).all()
    out = fit_size(black, (height, width), fit)
    if fit == "pad":  # the picture lies in the middle, whole, and touches two sides
        rows, columns = (
            np.flatnonzero((out == 0).any((1, 2))),
            np.flatnonzero((out == 0).any((0, 2))),
        )
        assert len(rows) == height or len(columns) == width
        assert abs((rows[0] - 0) - (height - 1 - rows[-1])) <= 1
        assert abs(columns[0] - (width - 1 - columns[-1])) <= 1
    else:
        assert (out == 0).all()


def test_crop_keeps_the_middle():
    wide = np.zeros((20, 60, 3), np.uint8)
    wide[:, 20:40] = 200
    assert (fit_size(wide, (10, 10), "crop") == 200).all()
    assert (fit_size(wide.transpose(1, 0, 2), (40, 40), "crop") == 200).all()


def test_crop_of_a_thread_takes_no_gigabytes(monkeypatch):
    sizes = []
    monkeypatch.setattr(
        "prodrec.models.pixels._scale",
        lambda p, h, w: sizes.append(h * w) or np.zeros((h, w, 3), np.uint8),
    )
    for shape in ((1, 60_000, 3), (60_000, 1, 3)):
        for fit in FITS:
            assert fit_size(np.zeros(shape, np.uint8), (80, 60), fit).shape == (80, 60, 3)
    assert max(sizes) <= 80 * 60


# -- batches


@quick
@given(st.integers(0, 30), st.integers(1, 12), st.booleans(), st.integers(0, 3), st.booleans())
def test_an_epoch_has_everything_once(n, batch_size, shuffle, seed, weighted):
    x, y, w = np.arange(n)[:, None], np.arange(n) * 10, np.arange(n) / 7

    def batches():
        return Batches(x, y, batch_size, shuffle, seed, weights=w if weighted else None)

    def epoch(b):
        seen = [b[i] for i in range(len(b))]
        assert [len(labels) for _, labels, *_ in seen[:-1]] == [batch_size] * (len(seen) - 1)
        for pictures, labels, *weights in seen:
            np.testing.assert_array_equal(pictures[:, 0] * 10, labels)
            if weighted:
                np.testing.assert_array_equal(weights[0], labels / 70)
        b.on_epoch_end()
        return [int(v) for _, labels, *_ in seen for v in labels]

    one, two = batches(), batches()
    assert len(one) == -(-n // batch_size)
    orders = [epoch(one) for _ in range(3)]
    assert orders == [epoch(two) for _ in range(3)]
    assert all(sorted(order) == y.tolist() for order in orders)
    if not shuffle:
        assert orders == [y.tolist()] * 3
    elif n > 12:  # two alike by chance: one in half a billion
        assert orders[0] != orders[1] != orders[2]


def test_batches_want_a_label_for_each():
    with pytest.raises(ValueError, match="`labels` has 2 values for 3 pictures"):
        Batches(np.zeros((3, 1)), [0, 1])


# -- networks


@pytest.fixture(scope="module")
def network():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6, 5, 3), dtype="uint8")
    x = keras.layers.Conv2D(4, 3)(keras.layers.Rescaling(1 / 255)(inputs))
    return keras.Model(inputs, keras.layers.Dense(7)(keras.layers.GlobalAveragePooling2D()(x)))


@pytest.mark.parametrize("n", [0, 1, 4, 5, 8, 11])
@pytest.mark.parametrize("batch_size", [1, 4, 64])
def test_apply_network_is_predict(network, n, batch_size):
    x = np.random.default_rng(n).integers(0, 256, (n, 6, 5, 3)).astype(np.uint8)
    out = apply_network(network, x, batch_size)
    assert out.shape == (n, 7) and out.dtype == np.float32
    if n:
        np.testing.assert_allclose(out, network.predict(x, verbose=0), atol=1e-6)


@pytest.mark.parametrize(
    "n, sizes", [(0, []), (1, [1]), (3, [4]), (8, [8]), (9, [8, 8]), (17, [8, 8, 8])]
)
def test_a_few_pictures_are_not_filled_up_to_a_batch(n, sizes):
    class Counting:
        output_shape, seen = (None, 3), None

        def predict_on_batch(self, x):
            self.seen.append(len(x))
            return x.mean((1, 2))

    model, x = Counting(), np.random.default_rng(0).random((n, 2, 2, 3)).astype(np.float32)
    model.seen = []
    np.testing.assert_allclose(apply_network(model, x, 8), x.mean((1, 2)).reshape(-1, 3))
    assert model.seen == sizes


def test_apply_network_on_a_store(network):
    catalog = shop([encoded(n) if n % 4 else None for n in range(11)])
    pixels = load_pixels(catalog, (6, 5))
    np.testing.assert_allclose(
        apply_network(network, pixels, 3),
        network.predict(np.asarray(pixels[:]), verbose=0),
        atol=1e-6,
    )
    assert apply_network(network, load_pixels(shop([None]), (6, 5)), 3).shape == (0, 7)


def test_augmentation_leaves_predictions_alone():
    model = keras.Sequential([keras.Input((6, 5, 3)), *augmentation(True, 0.2, 0.1, 0.2)])
    x = np.random.default_rng(0).uniform(0, 255, (4, 6, 5, 3)).astype(np.float32)
    np.testing.assert_array_equal(np.asarray(model(x, training=False)), x)
    assert np.abs(np.asarray(model(x, training=True)) - x).max() > 1
    assert augmentation(False) == []
