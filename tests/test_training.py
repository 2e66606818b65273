"""How classifiers learn: rates against formulas, rare classes, stopping in time, and trainings
that are cut and resumed.
"""

import json
from functools import partial
from types import SimpleNamespace

import cv2
import keras
import numpy as np
import pandas as pd
import pytest
from keras import ops
from sklearn.utils.class_weight import compute_sample_weight

from prodrec.data.catalog import Catalog
from prodrec.models.classifier import ImageClassifier
from prodrec.models.epochs import Batches, EpochLogger, epochs_since_best
from prodrec.models.hybrid import HybridClassifier
from prodrec.models.text import TextClassifier
from prodrec.models.training import (
    OPTIMIZERS,
    Checkpoint,
    balanced_weights,
    make_optimizer,
    precision_policy,
    run_training,
    scheduled_rate,
    smoothed_crossentropy,
)

pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation"),  # Keras 3 with numpy 2
    pytest.mark.filterwarnings("ignore::prodrec.models.batchnorm.BatchNormWarning"),
]
SIZE = (16, 12)
WORDS = ["glow bulb", "sip clay", "sole heel"]


def png(pixels):
    return cv2.imencode(".png", pixels)[1].tobytes()


def shop(start, stop, turn=0):
    "Products of three kinds, by picture and title; with `turn` the labels are those of others."
    rng = np.random.default_rng(0)
    pictures = [
        np.full((*SIZE, 3), 60 * (n % 3), np.uint8) + rng.integers(90, size=(*SIZE, 3))
        for n in range(stop)
    ]
    frame = {
        "image": [png(p.astype(np.uint8)) for p in pictures[start:]],
        "title": [f"No {n} {WORDS[n % 3]}" for n in range(start, stop)],
        "category": ["abc"[(n + turn) % 3] for n in range(start, stop)],
    }
    return Catalog(pd.DataFrame(frame, index=[f"t{n}" for n in range(start, stop)]))


def tiny(image_size, n_classes, units=6):
    inputs = keras.Input((*image_size, 3), dtype="uint8")
    x = keras.layers.AveragePooling2D(4)(keras.layers.Rescaling(1 / 255)(inputs))
    x = keras.layers.Dense(units, activation="relu", name="embedding")(keras.layers.Flatten()(x))
    return keras.Model(
        inputs, keras.layers.Dense(n_classes, activation="softmax", name="probabilities")(x)
    )


def weights_of(classifier):
    return [np.asarray(w) for w in classifier.model.get_weights()]


def assert_same(some, others):
    "Number for number."
    for a, b in zip(some, others, strict=True):
        np.testing.assert_array_equal(a, b)


# -- rates and optimizers


@pytest.mark.parametrize("steps,epochs", [(1, 1), (1, 7), (3, 2), (20, 8), (7, 40)])
def test_cosine_is_its_formula(steps, epochs):
    rate, total = scheduled_rate(0.02, "cosine", steps, epochs), steps * epochs
    rise = max(1, min(steps, total // 10))
    assert rise <= steps
    for n in range(total + 2):
        if n < rise:
            wanted = 0.001 + (0.02 - 0.001) * n / rise
        else:
            wanted = 0.02 * (1 + np.cos(np.pi * min(1, (n - rise) / max(1, total - rise)))) / 2
        assert float(rate(n)) == pytest.approx(wanted, rel=1e-4, abs=1e-8), n


@pytest.mark.parametrize("steps,epochs", [(1, 1), (20, 8)])
def test_exponential_is_its_formula(steps, epochs):
    rate, total = scheduled_rate(0.02, "exponential", steps, epochs), steps * epochs
    assert [float(rate(n)) for n in range(total + 1)] == pytest.approx(
        [0.02 * 0.01 ** (n / total) for n in range(total + 1)], rel=1e-4
    )


@pytest.mark.parametrize("schedule", ["constant", "plateau"])
def test_what_does_not_fall_by_itself_is_a_number(schedule):
    assert scheduled_rate(0.02, schedule, 20, 8) == 0.02


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_takes_a_rate_and_a_schedule(name):
    assert float(make_optimizer(name, 0.25).learning_rate) == 0.25
    falling = make_optimizer(name, 0.25, "exponential", 2, 1)
    falling.build([keras.Variable(np.ones(2))])
    falling.iterations.assign(2)
    assert float(falling.learning_rate) == pytest.approx(0.0025)


def test_an_own_optimizer_gets_the_schedule():
    got = []
    made = make_optimizer(
        lambda rate: got.append(rate) or keras.optimizers.Lion(rate), 0.25, "cosine", 3, 4
    )
    assert isinstance(made, keras.optimizers.Lion)
    assert isinstance(got[0], keras.optimizers.schedules.CosineDecay)


@pytest.mark.parametrize(
    "optimizer", ["adamw", lambda rate: keras.optimizers.SGD(rate, weight_decay=0.05)]
)
def test_biases_and_scales_are_not_decayed(optimizer):
    "Where nothing pulls but decay, only kernels shrink: by rate times decay."
    inputs = keras.Input((6, 4))
    x = keras.layers.BatchNormalization()(keras.layers.Conv1D(3, 2)(inputs))
    x = keras.layers.LayerNormalization()(keras.layers.LSTM(5)(x))
    model = keras.Model(inputs, keras.layers.Dense(2)(x))
    for v in model.trainable_variables:
        v.assign(np.full(v.shape, 2.0))
    made = make_optimizer(optimizer, 0.1)
    made.apply_gradients([(ops.zeros(v.shape), v) for v in model.trainable_variables])
    after = {v.path: np.asarray(v) for v in model.trainable_variables}
    kernels = {p for p in after if p.endswith("kernel")}
    assert len(kernels) == 4 and len(after) == 11
    for path, value in after.items():
        np.testing.assert_allclose(
            value, 2 * (1 - 0.1 * 0.05) if path in kernels else 2, rtol=1e-6, err_msg=path
        )


# -- rare classes


@pytest.mark.parametrize("seed", range(4))
def test_balanced_weights_are_those_of_scikit_learn(seed):
    rng = np.random.default_rng(seed)
    labels = rng.choice(
        [0, 1, 3, 7], size=40, p=[0.7, 0.2, 0.05, 0.05]
    )  # some numbers do not occur
    found = balanced_weights(labels)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, compute_sample_weight("balanced", labels), rtol=1e-6)
    assert found.mean() == pytest.approx(1)


LABELS = np.array([0] * 900 + [1] * 90 + [2] * 10)


def drawn(batches):
    return np.concatenate([batches[i][1] for i in range(len(batches))])


def test_sampling_draws_classes_equally():
    """Of 1,000 draws a third is of each class, within four standard deviations; unbalanced, all
    come once.
    """
    x = np.arange(1000)
    batches = Batches(x, LABELS, 64, shuffle=True, seed=5, balance=balanced_weights(LABELS))
    for _ in range(3):
        counts = np.bincount(drawn(batches), minlength=3)
        assert counts.sum() == 1000 and np.abs(counts - 1000 / 3).max() < 4 * np.sqrt(1000 * 2 / 9)
        batches.on_epoch_end()
    plain = Batches(x, LABELS, 64, shuffle=True, seed=5)
    assert np.bincount(drawn(plain)).tolist() == [900, 90, 10]
    pictures, labels = batches[0]
    assert (LABELS[pictures] == labels).all()


@pytest.mark.parametrize("balance", [None, balanced_weights(LABELS)])
def test_every_epoch_can_be_gone_to(balance):
    make = partial(Batches, np.arange(1000), LABELS, 64, shuffle=True, balance=balance)
    one, epochs = make(seed=5), []
    for _ in range(4):
        epochs.append([one[i][0].tolist() for i in range(len(one))])
        one.on_epoch_end()
    assert len({json.dumps(e) for e in epochs}) == 4
    other = make(seed=5)
    for e in (2, 0, 3, 1):
        other.go_to(e)
        assert [other[i][0].tolist() for i in range(len(other))] == epochs[e]
    other.on_epoch_end()
    assert other.epoch == 2 and other[0][0].tolist() == epochs[2][0]
    assert make(seed=6)[0][0].tolist() != epochs[0][0]


def test_weights_go_with_their_products():
    batches = Batches(np.arange(1000), LABELS, 64, shuffle=True, weights=balanced_weights(LABELS))
    for x, y, w in (batches[0], batches[len(batches) - 1]):
        np.testing.assert_array_equal(y, LABELS[x])
        np.testing.assert_array_equal(w, balanced_weights(LABELS)[x])


@pytest.mark.parametrize("balance", ["weights", "sampling"])
def test_balance_helps_the_rare(balance):
    """Pictures that say nothing: unbalanced, the frequent class is most probable, balanced neither
    is.
    """
    catalog = Catalog(
        pd.DataFrame(
            {
                "image": [png(np.zeros((*SIZE, 3), np.uint8))] * 40,
                "category": ["a"] * 36 + ["b"] * 4,
            }
        )
    )
    proba = [
        ImageClassifier(tiny, SIZE, balance=b, batch_size=40, optimizer="sgd", learning_rate=0.1)
        .fit(catalog, epochs=20)
        .predict_proba(catalog[catalog.ids[:1]])[0, 0]
        for b in (None, balance)
    ]
    assert proba[0] > 0.8 and 0.3 < proba[1] < 0.7


# -- loss


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
@pytest.mark.parametrize("shape", [(5,), (5, 1)])
def test_smoothed_loss_is_that_of_keras(smoothing, shape):
    rng = np.random.default_rng(0)
    proba, labels = rng.dirichlet(np.ones(4), 5).astype(np.float32), np.array([0, 3, 3, 1, 2])
    theirs = keras.losses.CategoricalCrossentropy(label_smoothing=smoothing, reduction="none")
    found = np.asarray(smoothed_crossentropy(smoothing)(labels.reshape(shape), proba))
    assert found.shape == (5,)
    np.testing.assert_allclose(
        found, np.asarray(theirs(np.eye(4, dtype=np.float32)[labels], proba)), rtol=1e-5
    )


# -- stopping in time


@pytest.mark.parametrize(
    "losses,waited",
    [
        ([], 0),
        ([3], 0),
        ([3, 2, 1], 0),
        ([3, 1, 2], 1),
        ([1, 1, 1], 2),
        ([2, np.nan, 3], 2),
        ([np.nan, 2], 0),
    ],
)
def test_epochs_since_the_best(losses, waited):
    assert epochs_since_best([{"val_loss": v} for v in losses]) == waited
    assert epochs_since_best([{"loss": v} for v in losses]) == 0


def watched(losses, **options):
    """What `Watch` does with a model whose weight is the number of the epoch, and whose validation
    losses are `losses`.
    """
    inputs = keras.Input((1,))
    model = keras.Model(inputs, keras.layers.Dense(1, use_bias=False)(inputs))
    model.compile(keras.optimizers.SGD(1.0))
    watch = EpochLogger(len(losses), **options)
    watch.set_model(model)
    model.stop_training = False
    watch.on_train_begin()
    for epoch, loss in enumerate(losses):
        watch.on_epoch_begin(epoch)
        model.set_weights([np.full((1, 1), epoch)])
        watch.on_epoch_end(epoch, {"val_loss": loss})
        if model.stop_training:
            break
    watch.on_train_end()
    return SimpleNamespace(watch=watch, weight=float(model.get_weights()[0][0, 0]))


@pytest.mark.parametrize(
    "losses,patience,epochs,best",
    [
        ([5, 4, 3, 4, 5, 1], 2, 5, 2),
        ([5, 4, 3, 4, 2, 5, 1], 2, 7, 6),
        ([1, 2, 2, 2], 3, 4, 0),
        ([1, 2], 1, 2, 0),
        ([3, 2, 1], 1, 3, 2),
        ([3, 2, np.nan, np.nan, 1], 2, 4, 1),  # what has diverged is not waited for, and not kept
    ],
)
def test_patience_keeps_the_best_epoch(losses, patience, epochs, best):
    found = watched(losses, patience=patience)
    assert len(found.watch.rows) == epochs and found.weight == best


def test_without_patience_the_last_epoch_stays():
    assert watched([1, 2, 3, 4]).weight == 3


def test_a_plateau_divides_the_rate():
    rows = watched([5, 4, 4, 4, 4, 4, 3, 3], plateau=2).watch.rows
    assert [r["learning_rate"] for r in rows] == pytest.approx([1, 1, 1, 1, 0.1, 0.1, 0.01, 0.01])


@pytest.mark.parametrize(
    "network,options", [("cnn", {"shift": 0.1}), ("fashion-batchnorm", {"flip": False})]
)
def test_patience_ends_where_fewer_epochs_end(network, options):
    """With the wrong labels validated, learning makes it worse; what is kept is what the best
    epoch had.
    """
    train, wrong = shop(0, 12), shop(12, 18, turn=1)
    same = {"filters": (4,), "dense": (6,), "batch_size": 16, "learning_rate": 0.02}
    make = partial(ImageClassifier, network, SIZE, **same, **options)
    stopped = make().fit(train, wrong, epochs=30, patience=2)
    best = int(stopped.history_.val_loss.argmin()) + 1
    assert len(stopped.history_) == best + 2 < 30
    fewer = make().fit(train, wrong, epochs=best)
    # one batch is an epoch: the statistics of BatchNorm are of the same products, summed in
    # another order
    for a, b in zip(weights_of(stopped), weights_of(fewer), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
    longer = make().fit(train, wrong, epochs=best + 2)
    assert (
        max(
            np.abs(a - b).max()
            for a, b in zip(weights_of(stopped), weights_of(longer), strict=True)
        )
        > 1e-3
    )


def test_what_needs_validation():
    with pytest.raises(ValueError, match="`patience` needs `validation`"):
        ImageClassifier(tiny, SIZE).fit(shop(0, 3), patience=2)
    with pytest.raises(ValueError, match='`schedule` "plateau" needs `validation`'):
        ImageClassifier(tiny, SIZE, schedule="plateau").fit(shop(0, 3))
    for wrong in (0, -1, 1.5, "2"):
        with pytest.raises(ValueError, match="`patience` must be a positive integer"):
            ImageClassifier(tiny, SIZE).fit(shop(0, 3), shop(3, 6), patience=wrong)


# -- going on after an interruption


COMMON = {"batch_size": 8, "seed": 3, "learning_rate": 0.01}
VARIED = {
    "filters": (4,),
    "dense": (6,),
    "shift": 0.2,
    "rotation": 0.1,
    "zoom": 0.1,
    "block_dropout": 0.2,
}
LSTM = {"length": 6, "baseline": False, "dims": 6, "dense": 6, "units": 4}


def picture(image_size=SIZE, **options):
    return ImageClassifier(
        "cnn", image_size, **VARIED | {"batch_norm": True, **COMMON, "schedule": "cosine"} | options
    )


def text(**options):
    return TextClassifier(
        "lstm", **LSTM, **COMMON | {"optimizer": "adamw", "balance": "sampling"} | options
    )


def hybrid(fusion, **options):
    return HybridClassifier(
        picture(), text(), fusion=fusion, **COMMON | {"schedule": "plateau"} | options
    )


RESUMED = {
    "picture": (picture, {}),
    "picture, patience": (picture, {"patience": 1}),
    "text": (text, {}),
    "concat": (partial(hybrid, "concat"), {"patience": 2}),
    "late": (partial(hybrid, "late"), {}),
}


class Counter(keras.callbacks.Callback):
    "Counts batches; after `most` whole epochs it is Ctrl-C in the first batch of the next."

    def __init__(self, most=99):
        super().__init__()
        self.most, self.epochs, self.batches = most, 0, 0

    def on_epoch_end(self, epoch, logs=None):
        self.epochs += 1

    def on_train_batch_end(self, batch, logs=None):
        self.batches += 1
        if self.epochs == self.most:
            raise KeyboardInterrupt


def cut_everywhere(fit):
    """What `fit(counter)` gives that is cut in its first epoch, and then in every second one that
    it runs; how often it was cut.
    """
    for cuts in range(20):
        try:
            return fit(Counter(min(cuts, 1))), cuts
        except KeyboardInterrupt:
            continue
    raise AssertionError("it never ends")


@pytest.mark.parametrize("kind", RESUMED)
def test_what_is_cut_and_resumed_ends_where_the_uncut_ends(kind, tmp_path):
    make, options = RESUMED[kind]
    epochs, sides = 2 if kind == "late" else 3, (shop(0, 12), shop(12, 18, turn=1))
    folder = {"epochs": epochs, "checkpoint": tmp_path / "kept"} | options
    uncut = make().fit(*sides, epochs=epochs, **options)
    resumed, cuts = cut_everywhere(lambda c: make().fit(*sides, callbacks=[c], **folder))
    ran = len(uncut.history_)
    assert cuts == (2 * epochs if kind == "late" else ran)
    assert_same(weights_of(resumed), weights_of(uncut))
    pd.testing.assert_frame_equal(
        *(c.history_.drop(columns="seconds") for c in (resumed, uncut)), check_exact=True
    )
    # it is finished: asked again, it is there at once
    counter = Counter()
    again = make().fit(*sides, callbacks=[counter], **folder)
    assert counter.batches == counter.epochs == 0
    assert_same(weights_of(again), weights_of(uncut))


def rows_of(x, y):
    return Batches(x, y, 4, shuffle=True, seed=1)


def begun(path, units=6, **options):
    "A training of two epochs by hand, with a checkpoint in `path`."
    keras.utils.set_random_seed(0)
    model = tiny((8, 8), 2, units)
    model.compile(make_optimizer("adam", 0.01), smoothed_crossentropy())
    watch = EpochLogger(2, checkpoint=Checkpoint(path, {"seed": 1}), **options)
    rng = np.random.default_rng(0)
    train = rows_of(rng.integers(256, size=(8, 8, 8, 3)).astype(np.uint8), np.arange(8) % 2)
    run_training(model, train, None, watch)
    return model, watch


def test_a_step_is_traced_once():
    "Variables that are created in a trace make TensorFlow trace again, which takes seconds."
    traced, model = [], tiny((8, 8), 2)

    def loss(y, proba):
        traced.append(proba)
        return keras.losses.sparse_categorical_crossentropy(y, proba)

    model.compile(make_optimizer("adam", 0.01), loss, metrics=["accuracy"])
    train = rows_of(np.zeros((8, 8, 8, 3), np.uint8), np.arange(8) % 2)
    run_training(model, train, None, EpochLogger(2))
    assert len(traced) == 1


class Subclass(keras.Model):
    "A network that only its first batch builds."

    def __init__(self, n_classes):
        super().__init__()
        self.flat = keras.layers.Flatten()
        self.decided = keras.layers.Dense(n_classes, activation="softmax")

    def call(self, pictures):
        return self.decided(self.flat(ops.cast(pictures, "float32") / 255))


def test_a_network_that_its_first_batch_builds_is_trained():
    classifier = ImageClassifier(lambda image_size, n_classes: Subclass(n_classes), (8, 8))
    classifier.fit(shop(0, 12), epochs=2)
    assert len(classifier.history_) == 2
    np.testing.assert_allclose(classifier.predict_proba(shop(0, 4)).sum(1), 1, atol=1e-5)


CHANGED = {
    "seed": (lambda: picture(seed=4), {}),
    "shift": (lambda: picture(shift=0.3), {}),
    "learning_rate": (lambda: picture(learning_rate=0.02), {}),
    "balance": (lambda: picture(balance="weights"), {}),
    "labels": (picture, {"turn": 1}),
    "image_size": (lambda: picture(image_size=(12, 12)), {}),
    "network": (lambda: ImageClassifier(tiny, SIZE, **COMMON, schedule="cosine"), {}),
    "epochs": (picture, {"epochs": 2}),
}


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    "The folder of a finished training of one epoch."
    path = tmp_path_factory.mktemp("checkpoint")
    picture().fit(shop(0, 12), epochs=1, checkpoint=path)
    return path


@pytest.mark.parametrize("what", CHANGED)
def test_the_checkpoint_of_another_training_is_refused(what, kept):
    make, options = CHANGED[what]
    before, counter = {p: p.read_bytes() for p in kept.iterdir()}, Counter()
    with pytest.raises(
        ValueError, match=rf"belongs to another training, with another .*\b{what}\b.*another folder"
    ):
        make().fit(
            shop(0, 12, options.get("turn", 0)),
            epochs=options.get("epochs", 1),
            checkpoint=kept,
            callbacks=[counter],
        )
    assert {p: p.read_bytes() for p in kept.iterdir()} == before and len(before) == 1
    assert counter.batches == 0


@pytest.mark.parametrize(
    "a,b", [(np.int64(3), np.int64(4)), (np.float32(1), np.float32(2)), ([1, 2], np.array([1, 3]))]
)
def test_owners_with_numpy_numbers_are_told_apart(a, b, tmp_path):
    model, watch = begun(tmp_path)
    Checkpoint(tmp_path / "a", {"seed": a}).write(model, watch.rows, None)
    assert len(Checkpoint(tmp_path / "a", {"seed": a}).rows) == 2
    with pytest.raises(ValueError, match="with another seed"):
        Checkpoint(tmp_path / "a", {"seed": b})


def test_two_networks_of_one_name_are_told_apart(tmp_path):
    begun(tmp_path)
    with pytest.raises(ValueError, match="belongs to another training, with another network"):
        begun(tmp_path, units=5)


def test_patience_that_comes_and_goes(tmp_path):
    sides = shop(0, 12), shop(12, 18, turn=1)
    make = partial(ImageClassifier, tiny, SIZE, **COMMON | {"learning_rate": 0.1})
    make().fit(*sides, epochs=3, checkpoint=tmp_path / "plain")
    with pytest.raises(ValueError, match="`patience` was not given when `checkpoint` .* was begun"):
        make().fit(*sides, epochs=5, checkpoint=tmp_path / "plain", patience=4)
    first = make().fit(*sides, epochs=3, checkpoint=tmp_path / "patient", patience=4)
    assert first.history_.val_loss.argmin() < 2  # the best are not the last, which go on
    longer = make().fit(*sides, epochs=4, checkpoint=tmp_path / "patient")
    assert_same(weights_of(longer), weights_of(make().fit(*sides, epochs=4)))


@pytest.mark.parametrize(
    "kind", ["empty", "cut", "half", "text", "pickled", "other arrays", "flipped"]
)
def test_a_damaged_checkpoint_says_so(kind, tmp_path):
    begun(tmp_path)
    file = tmp_path / "training.npz"
    whole = file.read_bytes()
    damaged = {"empty": b"", "cut": whole[:-9], "half": whole[: len(whole) // 2], "text": b"no zip"}
    flipped = [
        whole[:n] + bytes([whole[n] ^ 255]) + whole[n + 1 :] for n in range(0, len(whole), 211)
    ]
    for data in flipped if kind == "flipped" else [damaged.get(kind, whole)]:
        file.write_bytes(data)
        if kind == "pickled":
            np.savez(file, about=np.array([{"rows": []}], object))
        if kind == "other arrays":
            np.savez(file, state0=np.zeros(3))
        before = file.read_bytes()
        try:  # some bytes mean nothing
            rows = Checkpoint(tmp_path, {"seed": 1}).rows
            assert kind == "flipped" and len(rows) == 2
        except ValueError as e:
            assert "training.npz' cannot be read: delete it to begin again" in str(e)
        assert file.read_bytes() == before


def test_a_checkpoint_is_replaced_in_one_step(tmp_path, monkeypatch):
    model, watch = begun(tmp_path)
    before = (tmp_path / "training.npz").read_bytes()

    def pulled(f, **arrays):
        f.write(b"half of it")
        raise OSError("no space left")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="no space left"):
        patch.setattr(np, "savez", pulled)
        Checkpoint(tmp_path, {"seed": 1}).write(model, watch.rows, None)
    assert (tmp_path / "training.npz").read_bytes() == before
    assert len(Checkpoint(tmp_path, {"seed": 1}).rows) == 2


# -- half the digits


@pytest.mark.parametrize(
    "network,options", [("cnn", {"filters": (4,), "dense": (6,)}), ("compact", {"filters": (4, 8)})]
)
def test_half_precision_gives_whole_probabilities(network, options, tmp_path):
    make = partial(ImageClassifier, network, SIZE, batch_size=8, **options)
    half, whole = (make(precision=p).fit(shop(0, 12), epochs=1) for p in ("bfloat16", "float32"))
    convolutions = [
        [x for x in c.model.layers if isinstance(x, keras.layers.Conv2D)][0] for c in (half, whole)
    ]
    assert [x.compute_dtype for x in convolutions] == ["bfloat16", "float32"]
    assert all(
        w.dtype == "float32" for x in half.model.layers for w in x.weights if "seed" not in w.path
    )
    proba = half.predict_proba(shop(12, 18))
    assert proba.dtype == np.float32 and half.embed(shop(12, 18)).dtype == np.float32
    np.testing.assert_allclose(proba.sum(1), 1, atol=1e-6)
    half.save(tmp_path / "c")
    np.testing.assert_allclose(
        ImageClassifier.load(tmp_path / "c").predict_proba(shop(12, 18)), proba, atol=1e-6
    )
    assert keras.config.dtype_policy().name == "float32"


def test_the_policy_is_what_it_was_even_after_an_error():
    def broken(image_size, n_classes):
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        ImageClassifier(broken, SIZE, precision="bfloat16").fit(shop(0, 3))
    assert keras.config.dtype_policy().name == "float32"
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float64")
    try:
        with precision_policy("bfloat16"):
            assert keras.layers.Dense(2).compute_dtype == "bfloat16"
        assert keras.config.dtype_policy().name == "float64"
    finally:
        keras.config.set_dtype_policy(before)
