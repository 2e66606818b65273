"""Every embedder against the contract, and what each of them promises beyond it.

`EMBEDDERS` lists the implementations; another one is added there and passes the same tests.
"""

import json

import keras
import numpy as np
import pandas as pd
import pytest
from builders import SIZE, encoded, picture, shop
from PIL import Image
from spaces import ColourWords, tiny_network

import prodrec
from prodrec.core import ImageError, save_folder
from prodrec.data.catalog import Catalog
from prodrec.models.classifier import ImageClassifier
from prodrec.recommend import embedders
from prodrec.recommend.embedders import (
    ColorHistogram,
    Embedder,
    ImageEmbedder,
    TextEmbedder,
    TfidfEmbedder,
    as_items,
)
from prodrec.recommend.joint import JointEmbedder
from prodrec.recommend.reduction import PCAEmbedder
from prodrec.stats import unit_rows


class LetterCount(TextEmbedder):
    "An encoder of text of somebody's own: how often each letter occurs."

    name, dim, fields = "letters", 26, ("title",)

    def encode(self, texts):
        return [[t.lower().count(chr(97 + n)) for n in range(26)] for t in texts]

    def _write(self, folder):
        return {}

    @classmethod
    def _read(cls, folder, meta):
        return cls()


class Sharper(ColorHistogram):
    "A subclass that changes the vectors and nothing else; it is saved as its parent is."

    def embed(self, x, kind=None, missing="error"):
        return unit_rows(super().embed(x, kind, missing) ** 3)


class Louder(TfidfEmbedder):
    "A subclass with an argument more, which it saves."

    def __init__(self, dim=8, power=2.0):
        super().__init__(dim, fields=("title",))
        self.power = power

    def encode(self, texts):
        return super().encode(texts) * self.power

    def _write(self, folder):
        return super()._write(folder) | {"power": self.power}

    @classmethod
    def _read(cls, folder, meta):
        new = cls(meta["dim"], meta["power"])
        vars(new).update(vars(TfidfEmbedder._read(folder, meta)) | {"power": meta["power"]})
        return new


EMBEDDERS = {
    "colours": lambda: ColorHistogram((9, 7), "crop"),
    "network": lambda: ImageEmbedder(tiny_network()),
    "backbone": lambda: ImageEmbedder("mobilenetv2", (32, 32), weights=None),
    "tf-idf": TfidfEmbedder,
    "tf-idf of few": lambda: TfidfEmbedder(dim=3, fields=("title", "category"), seed=4),
    "reduced": lambda: PCAEmbedder(ColorHistogram(SIZE), 5),
    "reduced words": lambda: PCAEmbedder(TfidfEmbedder(), 5, whiten=True),
    "reduced joint": lambda: PCAEmbedder(ColourWords(), 2),
    "joint": ColourWords,
    "joint learned": lambda: JointEmbedder(ColorHistogram(SIZE), TfidfEmbedder(), 8, epochs=3),
    "own text": LetterCount,
    "own subclass": Sharper,
    "own argument": Louder,
}


@pytest.fixture(scope="module")
def catalog():
    return shop(30)


@pytest.fixture(params=EMBEDDERS)
def embedder(request, catalog):
    made = EMBEDDERS[request.param]()
    assert made.fit(catalog) is made
    return made


ITEMS = {"image": [picture(2), picture(9)], "text": ["red shirt", "blue Schuh größe"]}


# -- what every embedder promises


def test_vectors_are_unit_rows_or_zeros(embedder, catalog):
    vectors = embedder.embed(catalog, missing="zero")
    assert vectors.shape == (30, embedder.dim) and vectors.dtype == np.float32
    lengths = np.linalg.norm(vectors, axis=1)
    assert (np.isclose(lengths, 1, atol=1e-5) | (lengths == 0)).all() and (lengths > 0).any()


def test_one_item_is_a_list_of_one(embedder):
    for kind in embedder.modalities:
        items = ITEMS[kind]
        many = embedder.embed(items, kind=kind)
        assert many.shape == (2, embedder.dim) and many.dtype == np.float32
        for n, item in enumerate(items):
            one = embedder.embed(item, kind=kind)
            assert one.shape == (1, embedder.dim)
            np.testing.assert_allclose(one[0], many[n], atol=1e-5)
        np.testing.assert_allclose(embedder.embed(tuple(items), kind=kind), many, atol=1e-6)
        if embedder.kind == kind:
            np.testing.assert_allclose(embedder.embed(items), many, atol=1e-6)


def test_a_part_of_a_catalogue_has_the_same_vectors(embedder, catalog):
    whole = embedder.embed(catalog, missing="zero")
    some = [7, 2, 3, 11]
    part = embedder.embed(catalog[[catalog.ids[n] for n in some]], missing="zero")
    np.testing.assert_allclose(part, whole[some], atol=1e-5)


def test_it_says_what_it_takes(embedder, catalog):
    assert embedder.modalities and embedder.modalities <= {"image", "text"}
    assert embedder.kind in (*embedder.modalities, None)
    assert (embedder.kind is None) == (len(embedder.modalities) == 2)
    for wrong in {"image", "text", "sound"} - embedder.modalities:
        with pytest.raises(ValueError, match=f"`kind` '{wrong}' is not what"):
            embedder.embed(ITEMS.get(wrong, ITEMS["text"]), kind=wrong)
    with pytest.raises(ValueError, match="`missing` must be 'error' or 'zero'"):
        embedder.embed(catalog, missing="skip")
    assert embedder.name in repr(embedder) and type(embedder).__name__ in embedder._repr_html_()


def test_a_missing_picture_is_an_error_unless_one_says_so(embedder):
    if embedder.modalities == {"text"}:
        return
    with pytest.raises(ImageError, match="picture of product '003' is missing"):
        embedder.embed(shop(5))
    assert not embedder.embed(shop(5), missing="zero")[3].any()


def test_it_comes_back_as_itself(embedder, catalog, tmp_path):
    wanted = embedder.embed(catalog, missing="zero")
    embedder.save(tmp_path / "e")
    for load in (Embedder.load, type(embedder).load):
        back = load(tmp_path / "e")
        assert type(back) is type(embedder) and back.dim == embedder.dim
        assert repr(back) == repr(embedder) and back.modalities == embedder.modalities
        np.testing.assert_allclose(back.embed(catalog, missing="zero"), wanted, atol=1e-6)
    back.save(tmp_path / "e")


def test_words_find_pictures_in_a_joint_space():
    pictures = [Image.new("RGB", (20, 20), c) for c in ("blue", "red", "lime")]
    space = ColourWords()
    seen, asked = space.embed(pictures, kind="image"), space.embed(["a red mug"], kind="text")
    assert (seen @ asked[0]).argmax() == 1
    products = Catalog(pd.DataFrame({"title": ["x", "y", "z"]}, index=list("abc")))
    assert not space.embed(products, kind="text").any()
    with pytest.raises(ValueError, match="`kind` must be 'image' or 'text'"):
        space.embed(pictures)


# -- the base


def test_the_former_class_makes_an_image_embedder():
    with pytest.warns(DeprecationWarning, match=r"`Embedder\(…\)` is now `ImageEmbedder\(…\)`"):
        old = prodrec.Embedder(tiny_network(), batch_size=7)
    assert type(old) is ImageEmbedder and old.batch_size == 7 and old.dim == 6


def test_the_base_alone_is_no_embedder():
    class Half(Embedder):
        pass

    for make in (Half, TextEmbedder):
        with pytest.raises(TypeError, match="abstract"):
            make()
    Embedder._classes.pop("Half")


def test_a_folder_with_an_embedder_that_is_not_known(tmp_path):
    with save_folder(tmp_path / "e", "Embedder", **{"class": "Clip", "module": "own"}):
        pass
    with pytest.raises(ValueError, match="`from own import Clip`, and load again"):
        Embedder.load(tmp_path / "e")
    ColorHistogram().save(tmp_path / "c")
    with pytest.raises(ValueError, match="holds a saved ColorHistogram, not a TfidfEmbedder"):
        TfidfEmbedder.load(tmp_path / "c")


def test_items():
    assert as_items(pd.Series(["a", "b"])) == ["a", "b"] and as_items(b"png") == [b"png"]
    array = np.zeros((2, 2, 3), np.uint8)
    assert as_items(array)[0] is array


# -- folders of the first version


def as_first_version(folder, **meta):
    "Rewrite the manifest of a saved embedder as version 0.1 wrote it."
    file = folder / "manifest.json"
    manifest = json.loads(file.read_text())
    manifest.pop("format")
    file.write_text(json.dumps(manifest | {"meta": meta}))


def test_embedders_of_the_first_version_load(catalog, tmp_path, monkeypatch):
    network, make = ImageEmbedder(tiny_network()), embedders._vectorizer
    with monkeypatch.context() as m:  # it divided texts at what is no letter, with sklearn's own
        m.setattr(embedders, "_vectorizer", lambda tokens, **o: make("spaces", **o))
        words = TfidfEmbedder(dim=4).fit(catalog)
    colours = ColorHistogram((9, 7))
    small = PCAEmbedder(colours, 5).fit(catalog)
    network.save(tmp_path / "network")
    how = {"precision": "float32", "keep": "float32", "engine": "keras"}
    as_first_version(
        tmp_path / "network", type="Embedder", name="tiny", batch_size=8, fit_mode="pad", **how
    )
    words.save(tmp_path / "words")
    fields = ["title", "description"]
    as_first_version(tmp_path / "words", type="TextEmbedder", dim=4, fields=fields, seed=0)
    colours.save(tmp_path / "colours")
    as_first_version(tmp_path / "colours", type="ColorHistogram", _size=[9, 7], fit_mode="pad")
    small.save(tmp_path / "small")
    as_first_version(tmp_path / "small", type="Reduced", dim=5, whiten=False)
    for made, name in ((network, "network"), (words, "words"), (colours, "colours")):
        back = Embedder.load(tmp_path / name)
        assert type(back) is type(made)
        vectors = [e.embed(catalog, missing="zero") for e in (made, back)]
        np.testing.assert_allclose(*vectors, atol=1e-6)
    assert Embedder.load(tmp_path / "network").batch_size == 8
    assert Embedder.load(tmp_path / "words").tokens == "spaces"
    back = Embedder.load(tmp_path / "small")
    assert type(back) is PCAEmbedder and back.dim == 5


# -- words


def test_words_of_every_script():
    titles = ["красные ботинки", "红色靴子", "लाल जूते", "rote Stiefel", "rotes Auto"]
    products = Catalog(pd.DataFrame({"title": titles}, index=list("abcde")))
    words = TfidfEmbedder().fit(products)
    for text, best in (("靴子", 1), ("ботинки", 0), ("जूते", 2), ("Stiefel", 3), ("AUTO", 4)):
        scores = words.embed(products) @ words.embed(text)[0]
        assert scores.argmax() == best and scores[best] > 0


def test_a_second_fit_that_fails_leaves_the_first(catalog):
    words = TfidfEmbedder(fields=("title",)).fit(catalog)
    before = words.embed("red shirt")
    with pytest.raises(ValueError, match="has no words in title"):
        words.fit(Catalog(pd.DataFrame({"title": [None, None]}, index=["x", "y"])))
    np.testing.assert_array_equal(words.embed("red shirt"), before)


def test_not_fitted(catalog, tmp_path):
    for blank in (TfidfEmbedder(), PCAEmbedder(ColorHistogram(SIZE))):
        with pytest.raises(ValueError, match="call `fit`"):
            blank.embed(catalog)
        with pytest.raises(ValueError, match="call `fit`"):
            blank.save(tmp_path / "e")
    assert "not fitted" in repr(TfidfEmbedder())


# -- networks


def test_the_size_follows_from_the_pictures_and_the_network(monkeypatch):
    pictures = [encoded(Image.new("RGB", (90, 120), c)) for c in ("red", "blue", "lime")]
    big = Catalog(pd.DataFrame({"image": pictures}, index=list("abc")))
    monkeypatch.setattr("prodrec.recommend.embedders.features", sized)
    chosen = ImageEmbedder("mobilenetv2", weights=None)
    assert chosen.model is None and chosen.dim == 1280
    assert chosen.fit(big).image_size == (120, 88)
    assert ImageEmbedder("mobilenetv2", (64, 48), weights=None).fit(big).image_size == (64, 48)
    alone = ImageEmbedder("mobilenetv2", weights=None)
    assert alone.embed(Image.new("RGB", (90, 120))).shape == (1, 4) and alone.image_size
    assert chosen.fit(shop(3)).image_size == (120, 88)  # it stays what it was


def sized(name, size, resize, weights):
    "Stand in for a backbone of that size."
    inputs = keras.Input((*size, 3), dtype="uint8")
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 255)(inputs))
    return keras.Model(inputs, keras.layers.Dense(4)(x))


def test_a_backbone_that_is_not_known():
    with pytest.raises(ValueError, match="unknown"):
        ImageEmbedder("mobilenetv9")
    with pytest.raises(ValueError, match=r"not fitted|call `fit`"):
        ImageEmbedder(ImageClassifier())


def test_engines_and_precisions_have_names():
    with pytest.raises(
        ValueError, match="`engine` must be 'auto' or 'keras' or 'openvino', received 'torch'"
    ):
        ImageEmbedder(tiny_network(), engine="torch")
    with pytest.raises(ValueError, match="`precision` must be"):
        ImageEmbedder(tiny_network(), precision="int8")


def test_half_of_the_size_in_the_cache(catalog):
    pictured = catalog[[i for n, i in enumerate(catalog.ids) if n % 5 != 3]]
    whole = ImageEmbedder(tiny_network()).embed(pictured)
    half = ImageEmbedder(tiny_network(), keep="float16").embed(pictured)
    assert 0 < np.abs(half - whole).max() < 1e-3


def test_openvino_answers_as_keras_does(catalog):
    pytest.importorskip("openvino")
    pictured = catalog[[i for n, i in enumerate(catalog.ids) if n % 5 != 3]]
    keras_way = ImageEmbedder(tiny_network()).embed(pictured)
    found = ImageEmbedder(tiny_network(), engine="openvino").embed(pictured)
    np.testing.assert_allclose(found, keras_way, atol=1e-5)
