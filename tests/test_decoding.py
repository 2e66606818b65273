"""Decoding in a process of its own: killed when late, replaced, never outliving the server."""

import io
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from builders import encoded, pixels

from prodrec.apps.decoding import Decoder, Decoders, UploadError, kept_file, read_answer
from prodrec.data.pictures import check_upload, shrink


@pytest.fixture(scope="module")
def decoder():
    decoder = Decoder(seconds=20)
    yield decoder
    decoder.close()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_it_decodes_what_is_decoded_in_this_process(decoder, kind):
    data = encoded(pixels(90, 140), kind)
    np.testing.assert_array_equal(decoder.decode(data), check_upload(data))
    np.testing.assert_array_equal(decoder.decode(data, side=50), shrink(check_upload(data), 50))


@pytest.mark.parametrize(
    "data, says", [(b"", "no picture"), (b"GIF89a" + bytes(9), "GIF"), (bytes(100), "no picture")]
)
def test_its_errors_are_those_of_this_process(decoder, data, says):
    with pytest.raises(UploadError, match=says):
        decoder.decode(data)
    assert decoder.decode(encoded(pixels())).shape == pixels().shape


def test_too_many_pixels_are_refused(decoder):
    with pytest.raises(UploadError) as error:
        decoder.decode(encoded(pixels(50, 50)), max_pixels=2_000)
    assert error.value.reason == "too large"


def test_one_that_hangs_is_killed_and_replaced(decoder):
    decoder.decode(encoded(pixels()))
    hung, decoder.seconds = decoder._process, 0.3
    os.kill(hung.pid, signal.SIGSTOP)
    began = time.perf_counter()
    with pytest.raises(UploadError, match="within 0.3 seconds"):
        decoder.decode(encoded(pixels()))
    assert time.perf_counter() - began < 5 and hung.poll() is not None
    decoder.seconds = 20
    assert decoder.decode(encoded(pixels())).shape == pixels().shape


def test_one_that_dies_is_replaced(decoder):
    decoder.decode(encoded(pixels()))
    decoder._process.kill()
    decoder._process.wait()
    assert decoder.decode(encoded(pixels())).shape == pixels().shape


def test_many_threads_share_a_few():
    decoders, found = Decoders(n=2, seconds=30), []

    def ask(n):
        found.append((n, decoders.decode(encoded(pixels(20 + n, 30)), side=1_000).shape[0] - 20))

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    decoders.close()
    assert sorted(found) == [(n, n) for n in range(12)]


def test_it_ends_with_the_process_that_began_it():
    code = (
        "import sys, time; from prodrec.apps.decoding import Decoder; d = Decoder(); "
        "d._process = d._start(); print(d._process.pid, flush=True); time.sleep(60)"
    )
    paths = os.pathsep.join(filter(None, sys.path))
    mother = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": paths}
    )
    pid = int(mother.stdout.readline())
    mother.kill()
    mother.wait()
    for _ in range(200):
        state = subprocess.run(
            ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True
        )
        if not state.stdout.strip() or state.stdout.startswith("Z"):
            return
        time.sleep(0.1)
    raise AssertionError("the decoder lives on")


def test_half_an_answer_is_an_error():
    with pytest.raises(EOFError):
        read_answer(io.BytesIO(b"P\0\0\0\1\0\0\0\1ab"))


def test_a_large_file_is_made_small():
    noise = np.random.default_rng(0).integers(0, 256, (400, 400, 3), np.uint8)
    data = encoded(noise)
    kept = kept_file(data, noise)
    assert len(data) > 300_000 > len(kept) and kept_file(kept, noise) == kept
    assert check_upload(kept).shape == noise.shape
