"""A real scheduler with two workers in processes of their own, one of which is killed."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from postgres import free_port

from prodrec import ImageClassifier, load_demo
from prodrec.models import keras
from prodrec.models.cluster import cluster_answers, connect, streamed
from prodrec.models.features import bottleneck
from prodrec.models.pixels import load_pixels
from prodrec.recommend.embedders import ColorHistogram, ImageEmbedder
from prodrec.recommend.metric_learning import MetricEmbedder

distributed = pytest.importorskip("distributed", reason='`pip install "prodrec[cluster]"`')


def started(*command: str) -> subprocess.Popen:
    nowhere = {name: subprocess.DEVNULL for name in ("stdout", "stderr")}
    called = [sys.executable, "-m", "distributed.cli." + command[0], *command[1:]]
    return subprocess.Popen(called, **nowhere, env=os.environ | {"PYTHONPATH": os.getcwd()})


@pytest.fixture(scope="module")
def cluster():
    "The address of a scheduler, and its workers."
    port = free_port()
    address = f"tcp://127.0.0.1:{port}"
    quiet = ["--dashboard-address", ":0", "--no-dashboard"]
    scheduler = started("dask_scheduler", "--host", "127.0.0.1", "--port", str(port), *quiet)
    how = ["--nthreads", "1", "--no-nanny", "--no-dashboard", "--host", "127.0.0.1"]
    workers = [started("dask_worker", address, *how) for _ in range(2)]
    with distributed.Client(address, timeout="60s", set_as_default=False) as client:
        client.wait_for_workers(2, timeout=60)
        yield client, address, workers
    for process in (*workers, scheduler):
        process.kill()
        process.wait(20)


def network(seed: int):
    keras.utils.set_random_seed(seed)
    return keras.Sequential(
        [
            keras.Input((32, 24, 3), dtype="uint8"),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(8, 3, activation="relu"),
            keras.layers.GlobalAveragePooling2D(),
        ]
    )


def test_answers_are_those_of_one_machine_and_land_in_its_cache(cluster):
    catalog, model = load_demo(40, seed=2), network(1)
    far = cluster_answers(model, catalog, (32, 24), batch_size=8, workers=cluster[1], block=16)
    near = bottleneck(model, load_pixels(catalog, (32, 24)), 8)
    assert near.computed == 0  # all of them were there already
    np.testing.assert_array_equal(near[:], far)
    other = bottleneck(network(2), load_pixels(catalog, (32, 24)), 8)
    again = cluster_answers(network(2), catalog, (32, 24), workers=cluster[0], block=16)
    np.testing.assert_allclose(again, other[:], atol=1e-6)
    vectors = ImageEmbedder(model).embed(catalog, workers=cluster[0])
    np.testing.assert_allclose(vectors, ImageEmbedder(model).embed(catalog), atol=1e-6)


def test_what_cannot_be_read_is_told_as_on_one_machine(cluster):
    catalog = load_demo(6, seed=3)
    catalog.products.iloc[2, catalog.products.columns.get_loc("image")] = None
    embedder = ImageEmbedder(network(3))
    with pytest.raises(ValueError, match="is missing.*give `missing='zero'`"):
        embedder.embed(catalog, workers=cluster[0])
    found = embedder.embed(catalog, missing="zero", workers=cluster[0])
    assert np.flatnonzero(~found.any(axis=1)).tolist() == [2]
    with pytest.raises(TypeError, match="`workers` computes the pictures of a catalogue"):
        embedder.embed(np.zeros((32, 24, 3), np.uint8), workers=cluster[0])


def test_no_scheduler_there():
    with pytest.raises(ConnectionError, match="no Dask scheduler answers there"):
        connect("tcp://127.0.0.1:1", timeout=0.3)


def tiny(image_size, n_classes):
    body = network(5)
    head = keras.layers.Dense(n_classes, activation="softmax")
    return keras.Model(body.inputs, head(body.outputs[0]))


def test_classifiers_and_learned_embeddings_ask_the_cluster_too(cluster):
    catalog = load_demo(24, seed=4)
    classifier = ImageClassifier(tiny, image_size=(32, 24)).fit(catalog, epochs=1)
    far = classifier.predict_proba(catalog, workers=cluster[0])
    np.testing.assert_allclose(far, classifier.predict_proba(catalog), atol=1e-6)
    with pytest.raises(TypeError, match="`workers` computes the pictures of a catalogue"):
        classifier.predict_proba(np.zeros((32, 24, 3), np.uint8), workers=cluster[0])
    metric = MetricEmbedder(ImageEmbedder(network(6)), ColorHistogram((32, 24)), dim=8, hidden=16)
    metric.learn(catalog, epochs=1)
    far = metric.embed(catalog, workers=cluster[0])
    np.testing.assert_allclose(far, metric.embed(catalog), atol=1e-5)


def test_a_killed_worker_costs_its_blocks_and_nothing_else(cluster):
    client, _, workers = cluster

    def work(block: int):
        time.sleep(0.05)
        return block, os.getpid()

    killer = threading.Timer(0.6, workers[0].kill)
    killer.start()
    found = list(streamed(client, work, range(60)))
    killer.join()
    assert workers[0].wait(20) == -signal.SIGKILL
    assert sorted(n for n, _ in found) == [*range(60)]  # nothing lost, nothing twice
    assert all(n == block for n, (block, _) in found)
    assert len({pid for _, (_, pid) in found}) == 2  # the other one did what was left
    with contextlib.suppress(TimeoutError):
        assert len(client.scheduler_info(n_workers=-1)["workers"]) == 1
