"""Classifiers of pictures and texts: what both fusions do, and do with one of the two."""

import io
import warnings

import cv2
import keras
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from prodrec.data.catalog import Catalog
from prodrec.models.batchnorm import bn_momentum
from prodrec.models.classifier import ImageClassifier
from prodrec.models.fusion import HidingBatches, Parts, mixture
from prodrec.models.hybrid import HybridClassifier
from prodrec.models.text import TextClassifier

SIZE = (16, 12)
KINDS = {
    "Rot": ((210, 30, 30), "glow bulb"),
    "grün/зелёный": ((30, 200, 40), "sip clay"),
    "青 <b>": ((30, 40, 210), "sole heel"),
}


def square(n):
    pixels = np.full((16, 12, 3), 255, np.uint8)
    pixels[2 : 12 + n % 3, 2:10] = list(KINDS.values())[n % 3][0]
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def shop(start, stop, picture=True, text=True, **columns):
    """The products from `start` to `stop`, of three kinds in turn, with both, one or none of
    picture and text.
    """
    numbers = range(start, stop)
    frame = {
        "image": [square(n) if picture else None for n in numbers],
        "title": [f"No {n} {list(KINDS.values())[n % 3][1]}" if text else None for n in numbers],
        "category": [list(KINDS)[n % 3] for n in numbers],
    }
    return Catalog(pd.DataFrame(frame, index=[f"h{n}" for n in numbers]).assign(**columns))


def tiny_image(image_size, n_classes):
    inputs = keras.Input((*image_size, 3), dtype="uint8")
    x = keras.layers.Flatten()(
        keras.layers.AveragePooling2D(4)(keras.layers.Rescaling(1 / 255)(inputs))
    )
    x = keras.layers.Dense(6, activation="relu", name="embedding")(x)
    return keras.Model(inputs, keras.layers.Dense(n_classes, activation="softmax")(x))


def frozen_image(image_size, n_classes):
    "With a part that does not learn."
    inputs = keras.Input((*image_size, 3), dtype="uint8")
    x = keras.layers.Flatten(name="bottleneck")(
        keras.layers.AveragePooling2D(4)(keras.layers.Rescaling(1 / 255)(inputs))
    )
    x = keras.layers.Dense(6, activation="relu", name="embedding")(x)
    return keras.Model(inputs, keras.layers.Dense(n_classes, activation="softmax")(x))


def made(name, **options):
    fusion, image, text = {
        "concat": ("concat", tiny_image, "conv1d"),
        "frozen": ("concat", frozen_image, "lstm"),
        "late": ("late", tiny_image, "conv1d"),
        "late, linear": ("late", frozen_image, "tfidf"),
    }[name]
    same = {"batch_size": 8, "seed": 3, "learning_rate": 0.01}
    small = {
        "conv1d": {"dims": 6, "dense": 6, "filters": 4},
        "lstm": {"dims": 6, "dense": 6, "units": 4},
        "tfidf": {},
    }
    parts = (
        ImageClassifier(image, SIZE, **same),
        TextClassifier(text, length=6, baseline=False, **small[text], **same),
    )
    return HybridClassifier(*parts, fusion=fusion, **same, **options)


@pytest.fixture(scope="module", params=["concat", "frozen", "late", "late, linear"])
def fitted(request):
    return request.param, made(request.param).fit(shop(0, 24), shop(24, 33), epochs=4)


def pairs(catalog):
    return [(catalog.open(i), t) for i, t in zip(catalog, catalog.products["title"], strict=True)]


def test_one_of_the_two_is_enough(fitted):
    name, classifier = fitted
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # what is missing is no fault
        some = {
            k: shop(24, 33, *has)
            for k, has in {
                "picture": (True, False),
                "text": (False, True),
                "none": (False, False),
            }.items()
        }
        proba = {k: classifier.predict_proba(c) for k, c in some.items()}
    for k, p in proba.items():
        np.testing.assert_allclose(p.sum(1), 1, atol=1e-5)
        assert np.isfinite(classifier.embed(some[k])).all()
    given = {
        "picture": [(p, None) for p, _ in pairs(shop(24, 33))],
        "text": [(None, t) for t in some["text"].texts()],
        "none": [(None, "")] * 9,
    }
    for k, x in given.items():
        np.testing.assert_allclose(classifier.predict_proba(x), proba[k], atol=1e-6)
    np.testing.assert_allclose(proba["none"], proba["none"][:1].repeat(9, 0), atol=1e-6)
    if name.startswith("late"):
        assert 0 <= classifier.weight_ <= 1
        np.testing.assert_allclose(
            proba["picture"], classifier.image_.predict_proba(some["picture"]), atol=1e-5
        )
        np.testing.assert_allclose(
            proba["text"], classifier.text_.predict_proba(some["text"]), atol=1e-5
        )
        np.testing.assert_allclose(
            proba["none"], classifier.text_.predict_proba([""] * 9), atol=1e-5
        )
        views, evidence = (
            (proba["picture"], proba["text"]),
            np.log(classifier.predict_proba(shop(24, 33))),
        )
        views = [np.log(v) - np.log(v[:, :1]) for v in views]
        # what both say is a weighted sum of what each says, and a constant for each class
        seen = np.stack([v[:, 1:].ravel() for v in views], 1)
        seen = np.hstack([seen, np.tile(np.eye(views[0].shape[1] - 1), (9, 1))])
        wanted = (evidence - evidence[:, :1])[:, 1:].ravel()
        found = np.linalg.lstsq(seen, wanted, rcond=None)[0]
        np.testing.assert_allclose(seen @ found, wanted, atol=1e-2)


def test_training_with_gaps(fitted):
    name, _ = fitted
    gaps = Catalog.concat([shop(0, 9, text=False), shop(9, 18, picture=False), shop(18, 24)])
    classifier = made(name).fit(
        gaps, Catalog.concat([shop(24, 27, text=False), shop(27, 33)]), epochs=1
    )
    assert classifier.predict(gaps).shape == (24,)
    with pytest.warns(UserWarning, match="neither a picture nor a text"):
        made(name).fit(Catalog.concat([gaps, shop(33, 36, False, False)]), shop(24, 33), epochs=1)
    with pytest.warns(
        UserWarning, match="1 pictures cannot be read, e.g. .*'h24'.*: the texts stand alone"
    ):
        classifier.predict(shop(24, 25, image=[b"no picture"]))


def test_label_words_are_masked():
    train = shop(0, 12, title=["Rot glow", "grün sip", "青 sole"] * 4)
    text = TextClassifier("conv1d", mask_labels=True, baseline=False, dims=4, dense=4, filters=4)
    hybrid = HybridClassifier(ImageClassifier(tiny_image, SIZE), text).fit(train, epochs=1)
    picture = square(0)
    np.testing.assert_array_equal(
        hybrid.predict_proba((picture, "ROT sip")), hybrid.predict_proba((picture, "sip"))
    )
    assert hybrid.evaluate(train).notes == ["the words of the labels were taken out of the texts"]


def test_late_fusion_takes_fitted_classifiers_as_they_are():
    train, validation = shop(0, 24), shop(24, 33)
    # the picture's side knows a class less
    image = ImageClassifier(tiny_image, SIZE, batch_size=8).fit(
        train[train.products["category"] != "Rot"], epochs=2
    )
    text = TextClassifier("tfidf", batch_size=8).fit(train)
    before = image.model.get_weights()
    hybrid = HybridClassifier(image, text, fusion="late").fit(train, validation)
    assert hybrid.image_ is image and hybrid.classes_ == sorted(KINDS)
    assert all((a == b).all() for a, b in zip(before, image.model.get_weights(), strict=True))
    alone = hybrid.predict_proba(shop(0, 6, text=False))
    assert (alone[:, hybrid.classes_.index("Rot")] < 1e-5).all()
    np.testing.assert_allclose(
        np.delete(alone, hybrid.classes_.index("Rot"), 1),
        image.predict_proba(shop(0, 6)),
        atol=1e-5,
    )


def test_what_late_fusion_needs():
    with pytest.raises(ValueError, match='`validation` is missing: fusion="late" learns on it'):
        made("late").fit(shop(0, 6))
    with pytest.raises(
        ValueError, match="`validation` has no product with a known label, a picture and a text"
    ):
        made("late").fit(
            shop(0, 6),
            Catalog.concat([shop(6, 9, text=False), shop(9, 12, picture=False)]),
            epochs=1,
        )
    with pytest.raises(ValueError, match="`train` has no picture that can be read"):
        made("late").fit(shop(0, 6, picture=False), shop(6, 9), epochs=1)


def test_parameters_that_do_not_fit():
    with pytest.raises(ValueError, match='`fusion` must be "concat" or "late", received \'mean\''):
        HybridClassifier(fusion="mean")
    with pytest.raises(
        TypeError, match="expected a network or a ImageClassifier, received a TextClassifier"
    ):
        HybridClassifier(TextClassifier())
    with pytest.raises(ValueError, match="`network` 'lstn' is unknown"):
        HybridClassifier(text="lstn")
    assert HybridClassifier("fashion-baseline", "lstm").image.options == {"dense": (200,)}
    assert (
        HybridClassifier().fusion == "late"
        and HybridClassifier("compact", "lstm").fusion == "concat"
    )


# -- the pieces


@pytest.mark.parametrize("steps", [1, 3, 13, 86, 458, 5000])
def test_momentum_forgets_the_beginning_within_an_epoch(steps):
    momentum = bn_momentum(steps)
    assert 0.5 <= momentum <= 0.99
    assert momentum in (0.5, 0.99) or momentum**steps == pytest.approx(0.01)


def test_what_the_normalisation_has_gathered_is_what_training_saw():
    """After four epochs of twelve steps: with Keras' own momentum two thirds of the beginning
    would still be there.
    """
    train = shop(0, 96)
    hybrid = made("concat", hide=0.0).fit(train, epochs=4)
    layer = hybrid.model.get_layer("normalised")
    seen = keras.Model(hybrid.model.inputs, hybrid.model.get_layer("both").output)
    x = hybrid.inputs(train)[:]
    values = np.concatenate(
        [seen.predict_on_batch(tuple(part[i : i + 32] for part in x)) for i in range(0, 96, 32)]
    )
    gap = np.abs(np.asarray(layer.moving_mean) - values.mean(0)) / (values.std(0) + 1e-2)
    assert layer.momentum == bn_momentum(12) and gap.max() < 0.6


def test_hiding_repeats_and_leaves_one():
    present = np.ones((64, 2), np.float32)
    present[:8, 1] = 0
    x = Parts(np.arange(64), present)
    one, same = (HidingBatches(x, np.arange(64), 16, seed=5, share=0.5) for _ in range(2))
    for i in range(4):
        (rows, seen), y = one[i]
        assert (seen == same[i][0][1]).all() and (rows == y).all() and (seen.sum(1) >= 1).all()
        assert (seen <= present[y]).all()
    first = [one[i][0][1].tolist() for i in range(4)]
    one.on_epoch_end()
    assert [one[i][0][1].tolist() for i in range(4)] != first
    never = HidingBatches(x, np.arange(64), 64, seed=5, share=0.0)[0]
    assert (never[0][1] == present[never[1]]).all()


def test_a_class_that_one_side_never_saw_is_left_to_the_other():
    class Part:
        temperature_ = 1.0

        def __init__(self, classes, proba):
            inputs = keras.Input((2,))
            answer = keras.ops.zeros_like(inputs[:, :1]) + np.float32([proba])
            self.model, self.classes_ = keras.Model(inputs, answer), classes

    image, text = Part(["a", "b"], [0.9, 0.1]), Part(["b", "c"], [0.2, 0.8])
    model = mixture(image, text, (1.0, 1.0, 0.0), np.full(3, 1 / 3), ["a", "b", "c"])
    x = np.zeros((3, 2), "float32")
    proba = model.predict_on_batch([x, x, np.float32([[1, 1], [1, 0], [0, 1]])])
    told = np.array([0.9 * 0.9, 0.1 * 0.2, 0.8 * 0.8])
    np.testing.assert_allclose(proba[0], told / told.sum(), atol=1e-5)
    np.testing.assert_allclose(proba[1:], [[0.9, 0.1, 0], [0, 0.2, 0.8]], atol=1e-5)


# -- nothing said


def told(n, start=0, by="words"):
    "Return products whose words, or whose pictures, say their kind; the other side says nothing."
    rng, rows = np.random.default_rng(start), range(start, start + n)
    kinds = ["abc"[i % 3] for i in rows]
    pixels = rng.integers(0, 90, (n, 32, 24, 3))
    if by == "pictures":
        pixels[np.arange(n), ..., np.arange(start, start + n) % 3] += 150
    images = [cv2.imencode(".png", p.astype(np.uint8))[1].tobytes() for p in pixels]
    titles = [
        f"no {i} {k * 3 if by == 'words' else 'nnn'}" for i, k in zip(rows, kinds, strict=True)
    ]
    frame = pd.DataFrame({"image": images, "title": titles, "category": kinds})
    return Catalog(frame.set_axis([f"p{i}" for i in rows], axis=0))


@pytest.mark.parametrize("by", ["words", "pictures"])
def test_nothing_given_chooses_the_side_that_knows(by, tmp_path):
    hybrid = HybridClassifier(tiny_image, minutes=0.2, learning_rate=0.03, batch_size=8)
    hybrid.image.image_size = SIZE
    hybrid.fit(told(60, by=by), epochs=15)
    test = told(30, 100, by)
    report = hybrid.evaluate(test)
    assert hybrid.tried_.candidate.tolist() == ["picture", "words", "both"]
    assert hybrid.tried_.log_loss[2] <= hybrid.tried_.log_loss[:2].min() + 1e-6
    if by == "words":
        assert hybrid.weight_ < 0.5 and report.accuracy == 1
    else:
        assert hybrid.weight_ > 0.5
    hybrid.save(tmp_path / "h")
    back = HybridClassifier.load(tmp_path / "h")
    assert back.chosen_ == hybrid.chosen_ in report.notes and "'tfidf'" in back.code()
    assert compile(hybrid.code(), "code", "exec") and "'tfidf'" in hybrid.code()
