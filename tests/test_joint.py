"""A joint space learned from a catalogue: words find pictures, and it says what it cannot do."""

import numpy as np
import pandas as pd
import pytest
from builders import encoded

from prodrec.core import ImageError
from prodrec.data.catalog import Catalog
from prodrec.recommend import joint
from prodrec.recommend.embedders import ColorHistogram, Embedder, TfidfEmbedder
from prodrec.recommend.joint import JointEmbedder, pair_loss, text_encoders, train_joint
from prodrec.recommend.recommender import Recommender

COLOURS = {"red": (230, 20, 20), "green": (20, 200, 40), "blue": (20, 30, 220)}
THINGS = "mug shirt lamp box".split()


def coloured(n, start=0):
    "Products of one colour each, slightly different, named in the title."
    rows = {}
    for i in range(start, start + n):
        colour = [*COLOURS][i % 3]
        shift = np.random.default_rng(i).integers(-15, 15)
        near = np.clip(np.array(COLOURS[colour]) + shift, 0, 255)
        picture = encoded(np.full((16, 12, 3), near, np.uint8))
        rows[f"{i:03d}"] = (picture, f"{colour} {THINGS[i % 4]}", colour)
    frame = pd.DataFrame.from_dict(rows, "index", columns=["image", "title", "category"])
    return Catalog(frame)


@pytest.fixture(scope="module")
def space():
    words = TfidfEmbedder(fields=("title",))
    return JointEmbedder.fit_joint(ColorHistogram((16, 12)), words, coloured(60), dim=8)


def test_words_find_products_that_have_only_pictures(space):
    shop = Catalog(coloured(24, 100).products[["image", "category"]])
    made = Recommender([space]).fit(shop)
    for colour in COLOURS:
        hits = made.recommend(5, text=colour).to_frame()
        assert set(hits.category) == {colour} and hits.score.min() > 0.1


def test_a_product_without_a_picture_is_found_by_one(space):
    shop = coloured(24, 100).products
    shop["image"] = None
    made = Recommender([space]).fit(Catalog(shop))
    asked = coloured(3, 300)
    for id, colour in asked.products.category.items():
        hits = made.recommend(5, image=asked.pixels(id)).to_frame()
        assert set(hits.category) == {colour}


def test_labels_that_nobody_gave(space):
    test = coloured(12, 200)
    found = space.classify(test, [*COLOURS])
    assert found.label.tolist() == test.products.category.tolist() and list(found)[:3] == [*COLOURS]
    assert found.index.tolist() == test.ids and (found[[*COLOURS]].abs() <= 1.0001).all(axis=None)
    one = space.classify([test.pixels("200")], ["a red thing", "a green thing", "a blue thing"])
    assert one.label.tolist() == ["a blue thing"]
    none = Catalog(test.products.assign(image=None))
    assert space.classify(none, [*COLOURS], missing="zero").label.isna().all()
    with pytest.raises(ImageError):
        space.classify(none, [*COLOURS])
    for labels in (["red"], ["red", "red"], "red"):
        with pytest.raises(ValueError, match="two or more different texts"):
            space.classify(test, labels)


def test_a_word_that_it_never_read_says_nothing(space):
    assert not space.embed(["turquoise"], "text").any()
    assert space.classify(coloured(3), ["turquoise", "mauve"]).label.isna().all()


def test_a_product_is_the_sum_of_its_two_vectors(space):
    some = coloured(5, 400)
    sides = [space.embed(some, kind) for kind in ("image", "text")]
    both = sum(sides) / np.linalg.norm(sum(sides), axis=1, keepdims=True)
    np.testing.assert_allclose(space.embed(some), both, atol=1e-5)
    half = Catalog(some.products.assign(title=""))
    np.testing.assert_allclose(space.embed(half), sides[0], atol=1e-5)


def test_a_space_is_learned_once_and_the_same_for_a_seed(space):
    before = space.embed(["red", "blue"], "text")
    assert space.fit(coloured(30, 500)) is space
    np.testing.assert_array_equal(space.embed(["red", "blue"], "text"), before)
    sides = [np.random.default_rng(n).normal(size=(40, 5)).astype(np.float32) for n in (1, 2)]
    runs = [train_joint(*sides, np.arange(40), dim=4, epochs=2, seed=s) for s in (3, 3, 4)]
    found = [r[0].predict_on_batch(sides[0]) for r in runs]
    np.testing.assert_allclose(found[0], found[1], atol=1e-5)
    assert not np.allclose(found[0], found[2], atol=1e-2)


def test_the_loss_is_that_of_the_formula():
    rng = np.random.default_rng(0)
    pairs = rng.normal(size=(5, 2, 3))
    pairs /= np.linalg.norm(pairs, axis=2, keepdims=True)
    groups = np.array([0, 1, 1, 2, 3])
    s = pairs[:, 0] @ pairs[:, 1].T / 0.1
    wanted = []
    for i in range(5):
        right = np.flatnonzero(groups == groups[i])
        rows = [np.log(np.exp(s[i, j]) / np.exp(s[i]).sum()) for j in right]
        columns = [np.log(np.exp(s[j, i]) / np.exp(s[:, i]).sum()) for j in right]
        wanted.append(-(np.mean(rows) + np.mean(columns)) / 2)
    found = np.asarray(pair_loss(groups[:, None], pairs.astype(np.float32), 0.1))
    np.testing.assert_allclose(found, wanted, rtol=1e-4)


def test_saved_in_a_recommender(space, tmp_path):
    made = Recommender({"joint": space}).fit(coloured(12, 100))
    made.save(tmp_path / "shop")
    again = Recommender.load(tmp_path / "shop")
    wanted, found = (r.recommend(4, text="green").to_frame() for r in (made, again))
    assert wanted.id.tolist() == found.id.tolist()
    np.testing.assert_allclose(found.score, wanted.score, atol=1e-5)
    assert isinstance(Embedder.load(tmp_path / "shop" / "joint"), JointEmbedder)


def test_what_is_refused(space, monkeypatch):
    words = TfidfEmbedder(fields=("title",))
    with pytest.raises(TypeError, match="`image` must be one or several embedders of kind 'image'"):
        JointEmbedder(words, words)
    with pytest.raises(TypeError, match="`text` must be one or several"):
        JointEmbedder(ColorHistogram(), [])
    with pytest.raises(ValueError, match="has 5 products with a picture and words"):
        JointEmbedder(ColorHistogram((16, 12)), words).fit(coloured(5))
    with pytest.raises(ValueError, match="the JointEmbedder is not fitted"):
        JointEmbedder(ColorHistogram(), words).embed(["red"], "text")
    monkeypatch.setattr(joint, "best_sentence_model", lambda: None)
    assert [type(e) for e in text_encoders()] == [TfidfEmbedder]
