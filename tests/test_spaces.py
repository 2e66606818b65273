"""Spaces by name, weights by name, and a space that takes pictures and words: words find pictures."""  # noqa: E501

import numpy as np
import pandas as pd
import pytest
from builders import SIZE, shop
from spaces import ColourWords

from prodrec.data.catalog import Catalog
from prodrec.recommend.embedders import ColorHistogram, TfidfEmbedder
from prodrec.recommend.recommender import Recommender
from prodrec.recommend.spaces import (
    Spaces,
    checked_weights,
    default_weights,
    named_spaces,
    product_units,
    scale_parts,
    weight_shares,
)

COLOURS = {"red": (220, 20, 20), "green": (20, 200, 20), "blue": (20, 20, 220)}


def painted():
    "Return thirty pictures of three colours, the titles of which do not say so."
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"title": [f"thing {n}" for n in range(30)]})
    frame["category"] = [list(COLOURS)[n % 3] for n in range(30)]
    pictures = []
    for category in frame["category"]:
        noise = rng.integers(-20, 20, (8, 8, 3))
        pictures.append(np.clip(np.array(COLOURS[category]) + noise, 0, 255).astype(np.uint8))
    return Catalog(frame.assign(image=encode(pictures)).set_axis([f"{n:02d}" for n in range(30)]))


def encode(pictures):
    import io

    from PIL import Image

    out = []
    for picture in pictures:
        data = io.BytesIO()
        Image.fromarray(picture).save(data, "PNG")
        out.append(data.getvalue())
    return pd.Series(out, dtype=object)


def test_words_find_pictures(tmp_path):
    catalog = painted()
    made = Recommender(
        [ColourWords(), TfidfEmbedder()], weights={"colour-words": 0.9, "tf-idf": 0.1}
    ).fit(catalog)
    for colour in COLOURS:
        hits = made.recommend(10, text=colour)
        assert (hits.to_frame()["category"] == colour).all()
        assert list(hits.to_frame().columns[3:4]) == ["colour-words"]
        assert all("alike in looks and words" in r for r in hits.to_frame()["reason"])
    both = made.recommend(5, text="blue", image=catalog.open("00"))  # a red picture
    assert {"red", "blue"} >= set(both.to_frame()["category"])
    same = made.recommend(30, id="00").to_frame()
    assert {"colour-words", "tf-idf"} <= set(same) and same["category"].iloc[:9].eq("red").all()
    made.save(tmp_path / "r")
    again = Recommender.load(tmp_path / "r")
    assert again.recommend(10, text="green").ids == made.recommend(10, text="green").ids
    assert again.weights == made.weights and list(again.embedders) == ["colour-words", "tf-idf"]


def test_a_text_asks_every_space_that_takes_texts():
    made = Recommender(
        {"joint": ColourWords(), "looks": ColorHistogram(SIZE), "words": TfidfEmbedder()}
    )
    made.fit(painted())
    assert made.spaces.taking("text") == ["joint", "words"]
    assert made.spaces.taking("image") == ["joint", "looks"]
    parts = made.recommend(3, text="red thing").to_frame()
    assert {"joint", "words"} <= set(parts) and "looks" not in parts
    parts = made.recommend(3, image=painted().open("01")).to_frame()
    assert {"joint", "looks"} <= set(parts) and "words" not in parts
    parts = made.recommend(3, id="01").to_frame()
    assert {"joint", "looks", "words"} <= set(parts)
    assert (
        "looks" not in made.recommend(3, id="01", weights={"joint": 1.0, "words": 0.5}).to_frame()
    )


def test_three_ways_to_name_spaces():
    looks, words = ColorHistogram(SIZE), TfidfEmbedder()
    assert list(named_spaces([looks, words])) == ["color-histogram", "tf-idf"]
    assert list(named_spaces({"a": looks, "b": words})) == ["a", "b"]
    assert list(named_spaces(image=looks, text=words)) == ["image", "text"]
    assert list(named_spaces([looks], text=words)) == ["color-histogram", "text"]
    assert list(named_spaces(looks)) == ["image"] and list(named_spaces(ColourWords())) == [
        "colour-words"
    ]
    for wrong, error in (
        (lambda: named_spaces([looks, looks]), "a name for each"),
        (lambda: named_spaces({"history": looks}), "none named"),
        (lambda: named_spaces({"text": words}, text=words), "both give a space 'text'"),
        (lambda: named_spaces([]), "nothing to compare products by"),
    ):
        with pytest.raises(ValueError, match=error):
            wrong()
    for wrong in (
        lambda: named_spaces("mobilenetv2"),
        lambda: named_spaces(["x"]),
        lambda: named_spaces(3),
    ):
        with pytest.raises(TypeError, match="must be an embedder"):
            wrong()


def test_weights_by_name():
    spaces = Spaces({"a": ColorHistogram(SIZE), "b": ColorHistogram(SIZE), "c": TfidfEmbedder()})
    assert default_weights(spaces) == {"a": 0.35, "b": 0.35, "c": 0.3, "history": 0.5}
    assert checked_weights({"a": 2}, spaces) == {"a": 2, "b": 0, "c": 0, "history": 0.5}
    for wrong in ({"d": 1}, {"a": -1}, {"a": np.nan}, {"history": 1.5}):
        with pytest.raises(ValueError, match="`weights` takes 'a' and 'b' and 'c', each 0 or more"):
            checked_weights(wrong, spaces)


def test_shares_sum_to_one_and_scaled_parts_give_the_weighted_mean():
    rng = np.random.default_rng(0)
    parts = {"a": slice(0, 3), "b": slice(3, 5)}
    vectors = rng.normal(size=(4, 5)).astype(np.float32)
    vectors[1, :3] = 0
    weights = {"a": 0.6, "b": 0.2, "history": 0.25}
    known = np.array([False, False, True, True])
    shares, of_users = weight_shares(vectors, parts, weights, known)
    np.testing.assert_allclose(shares.sum(1) + of_users, 1)
    np.testing.assert_allclose(shares[:3], [[0.75, 0.25], [0, 1], [0.5625, 0.1875]])
    products = rng.normal(size=(7, 5))
    wanted = sum(
        shares[:, [n]] * (vectors[:, p] @ products[:, p].T) for n, p in enumerate(parts.values())
    )
    np.testing.assert_allclose(scale_parts(vectors, parts, shares) @ products.T, wanted, atol=1e-5)
    lengths = np.linalg.norm(product_units(vectors, parts, weights), axis=1)
    np.testing.assert_allclose(lengths, 1, atol=1e-6)


def test_a_failing_fit_leaves_every_space_as_it_was():
    spaces = Spaces({"words": TfidfEmbedder(), "looks": ColorHistogram(SIZE)})
    spaces.fit(shop(20))
    before = spaces.embed(shop(20))
    with pytest.raises(ValueError, match="has no words"):
        spaces.fit(Catalog(shop(9).products.assign(title=None)))
    np.testing.assert_array_equal(spaces.embed(shop(20)), before)
    with pytest.raises(ZeroDivisionError), spaces.restored_on_error():
        spaces["words"].fit(shop(9, 100))
        _ = 1 / 0
    np.testing.assert_array_equal(spaces.embed(shop(20)), before)
