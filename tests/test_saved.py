"""Whatever is saved comes back as the class it was: every class that registers itself, and classes
of a user's own.
"""

import importlib
import json
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from builders import SIZE, history, shop
from spaces import encoder_folder
from vectors import vector_server

import prodrec
from prodrec.core import Saved, file_digest, read_manifest

BASES = {  # of families and of implementations: they cannot be made themselves
    "Classifier", "Embedder", "FactorModel", "Index", "TextEmbedder", "UserModel",
}  # fmt: skip


def modules() -> list[str]:
    "Return the names of all modules of the package."
    root = Path(prodrec.__file__).parent
    paths = [p.relative_to(root.parent).with_suffix("") for p in sorted(root.rglob("*.py"))]
    return [".".join(p.parts) for p in paths if p.name not in ("_modidx", "__init__")]


def registered(cls: type = Saved) -> list[type]:
    "Return every class below `cls` that can be made and saved, of the package alone."
    found = []
    for sub in cls.__subclasses__():
        ours = sub.__module__.startswith("prodrec.") and sub.__name__[0] != "_"
        found += [sub] if ours and sub.__name__ not in BASES else []
        found += registered(sub)
    return found


for name in modules():
    importlib.import_module(name)


def tiny(size, n_classes=None):
    import keras

    keras.utils.set_random_seed(0)
    inputs = keras.Input((*size, 3), dtype="uint8")
    x = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(inputs))
    x = keras.layers.Dense(4, name="embedding")(x)
    if n_classes is None:
        return keras.Model(inputs, x)
    return keras.Model(inputs, keras.layers.Dense(n_classes, activation="softmax")(x))


def labelled(n=20):
    products = shop(45).products
    products = products[products["image"].notna() & products["title"].notna()].iloc[:n]
    return prodrec.Catalog(products.assign(category=["a", "b"] * (len(products) // 2)))


def classifier():
    return prodrec.ImageClassifier(tiny, SIZE, batch_size=8).fit(labelled(), epochs=1)


def words():
    from prodrec.models.text import TextClassifier

    return TextClassifier("tfidf").fit(labelled())


def hybrid():
    from prodrec.models.hybrid import HybridClassifier

    made = HybridClassifier(classifier(), words(), fusion="late")
    return made.fit(labelled(), labelled())


def user_model(name):
    import prodrec.recommend.collaborative as models

    options = {"factors": 4, "iterations": 2} if name in ("ALS", "BPR") else {}
    vectors = {"text": np.eye(45, 6, dtype=np.float32)}
    return getattr(models, name)(**options).fit(history(), shop(45).ids, vectors)


def linear(name):
    import prodrec.recommend.linear as models

    return getattr(models, name)().fit(history())


def markov():
    from prodrec.recommend.markov import Markov

    return Markov().fit(history())


def sequential():
    from prodrec.recommend.sequential import Sequential

    return Sequential(dim=8, blocks=1, epochs=1, length=8).fit(history())


def two_tower():
    from prodrec.recommend.two_tower import TwoTower

    return TwoTower(dim=8, members=2, epochs=1).fit(history())


def search_embedder():
    from prodrec.recommend.sparse import SearchEmbedder

    return SearchEmbedder(embedder("TfidfEmbedder")).fit(shop(45))


def joint():
    from prodrec.recommend.joint import JointEmbedder

    parts = embedder("ColorHistogram", SIZE), embedder("TfidfEmbedder")
    return JointEmbedder.fit_joint(*parts, shop(45), dim=8)


def sentences():
    pytest.importorskip("tokenizers")
    from prodrec.recommend.sentences import SentenceEmbedder

    place = Path(tempfile.mkdtemp()) / "own"
    encoder_folder(place, "red blue green shirt shoe")
    return SentenceEmbedder(place, fields=("title",), engine="keras")


def preset_texts():
    pytest.importorskip("keras_hub")
    from presets import clip

    from prodrec.recommend.joint import JointEmbedder

    place = tempfile.mkdtemp()
    clip(place)
    return JointEmbedder.from_preset(place).text[0]


def word_index():
    from prodrec.recommend.sparse import WordIndex

    return WordIndex(("title",)).fit(shop(45))


def blend():
    from prodrec.recommend.blend import Blend
    from prodrec.recommend.collaborative import ItemKNN

    return Blend([ItemKNN()], weights={"popularity": 1.0}).fit(history())


def profiles():
    from prodrec.recommend.collaborative import ItemKNN
    from prodrec.recommend.profiles import Profiles

    return Profiles(ItemKNN()).fit(history())


def embedder(name, *arguments, **options):
    import prodrec.recommend.embedders as embedders
    import prodrec.recommend.reduction as reduction

    module = embedders if hasattr(embedders, name) else reduction
    return getattr(module, name)(*arguments, **options)


def metric():
    from prodrec.recommend.metric_learning import MetricEmbedder

    made = MetricEmbedder(embedder("ColorHistogram", SIZE), dim=4, hidden=8)
    return made.learn(labelled(), epochs=1)


def recommender():
    from prodrec.recommend.collaborative import ItemKNN

    made = prodrec.Recommender(
        image=embedder("ColorHistogram", SIZE),
        text=embedder("TfidfEmbedder"),
        collaborative=ItemKNN(),
    )
    return made.fit(shop(45), history())


def workspace():
    from prodrec.apps.workspace import Workspace

    return Workspace(recommender=recommender(), sides={"train": ["000"]})


def index():
    from prodrec.recommend.index import FaissIndex

    return FaissIndex().add(np.eye(5, 3, dtype=np.float32))


def quantized_index():
    from prodrec.recommend.quantized import QuantizedIndex

    return QuantizedIndex(many=1).add(np.eye(40, 3, dtype=np.float32))


def index_in_postgres():
    from prodrec.recommend.pgvector import PgVectorIndex

    return PgVectorIndex(vector_server().url, "kept").add(np.eye(5, 3, dtype=np.float32))


def complements():
    from prodrec.recommend.complements import Complements

    return Complements().fit(history(), shop(45), np.eye(45, 6, dtype=np.float32))


def product_map():
    from prodrec.recommend.map import ProductMap

    return ProductMap(shop(9).ids, np.eye(9, 3, dtype=np.float32), np.ones((9, 2)), 5, 0)


def embed(e):
    return e.embed(shop(9), missing="zero")


def predict(c):
    return c.predict_proba(labelled())


def score(m):
    return m.scores(["u0", "nobody"])


MADE = {  # class → (an object, what it says: an array that must be the same afterwards)
    "Catalog": (lambda: shop(9), lambda c: c.products.drop(columns="image").map(str).to_numpy(str)),
    "History": (history, lambda h: h.events.map(str).to_numpy(str)),
    "Popularity": (lambda: user_model("Popularity"), score),
    "ItemKNN": (lambda: user_model("ItemKNN"), score),
    "ALS": (lambda: user_model("ALS"), score),
    "BPR": (lambda: user_model("BPR"), score),
    "EASE": (lambda: linear("EASE"), score),
    "SLIM": (lambda: linear("SLIM"), score),
    "Markov": (markov, score),
    "Sequential": (sequential, score),
    "TwoTower": (two_tower, score),
    "SearchEmbedder": (search_embedder, embed),
    "SentenceEmbedder": (sentences, embed),
    "JointEmbedder": (joint, embed),
    "PresetTextEmbedder": (preset_texts, embed),
    "WordIndex": (word_index, lambda w: w.scores(w.of_texts(["red", "shirt 1"]))),
    "Blend": (blend, score),
    "Profiles": (profiles, lambda p: p.popular(pd.Index(shop(45).ids))),
    "FaissIndex": (index, lambda i: i.take()),
    "QuantizedIndex": (quantized_index, lambda i: i.take()),
    "PgVectorIndex": (index_in_postgres, lambda i: i.take()),
    "ImageClassifier": (classifier, predict),
    "TextClassifier": (words, predict),
    "HybridClassifier": (hybrid, predict),
    "ImageEmbedder": (lambda: embedder("ImageEmbedder", tiny(SIZE)), embed),
    "ColorHistogram": (lambda: embedder("ColorHistogram", SIZE), embed),
    "TfidfEmbedder": (lambda: embedder("TfidfEmbedder").fit(shop(45)), embed),
    "PCAEmbedder": (
        lambda: embedder("PCAEmbedder", embedder("ColorHistogram", SIZE), 3).fit(shop(45)),
        embed,
    ),
    "MetricEmbedder": (metric, embed),
    "Complements": (complements, lambda c: c.scores("000")),
    "ProductMap": (product_map, lambda m: m.xy),
    "Workspace": (workspace, lambda w: w.recommender.recommend(9, id="000", user="u0").scores),
    "Recommender": (recommender, lambda r: r.recommend(9, id="000", text="red", user="u0").scores),
}


def test_every_class_has_a_builder():
    missing = [f"{c.__module__}.{c.__name__}" for c in registered() if c.__name__ not in MADE]
    assert not missing, f"add a builder to MADE in this file for {', '.join(missing)}"


@pytest.mark.parametrize("cls", registered(), ids=lambda c: c.__name__)
def test_what_is_saved_comes_back(cls, tmp_path):
    if cls.__name__ not in MADE:
        pytest.skip("it has no builder, as another test says")
    make, says = MADE[cls.__name__]
    made = make()
    made.save(tmp_path / "it")
    for loader in {cls, cls._family}:
        again = loader.load(tmp_path / "it")
        assert type(again) is type(made)
        wanted, found = says(made), says(again)
        if wanted.dtype.kind == "f":
            np.testing.assert_allclose(found, wanted, atol=1e-5)
        else:
            np.testing.assert_array_equal(found, wanted)
    again.save(tmp_path / "it")  # over itself
    assert type(cls.load(tmp_path / "it")) is type(made)
    assert not [p for p in (tmp_path / "it").rglob("*") if p.suffix in (".pkl", ".pickle")]


# -- classes of a user's own


def own_classes():
    "Return a subclass in each family that users extend, with a builder and what it says."
    from prodrec.recommend.embedders import Embedder, TextEmbedder
    from prodrec.recommend.user_models import UserModel

    class Letters(TextEmbedder):
        name, dim = "letters", 3

        def __init__(self, letters="abc"):
            self.letters = letters

        def encode(self, texts):
            return np.array([[t.count(c) for c in self.letters] for t in texts], np.float32)

        def _write(self, folder):
            return {"letters": self.letters}

        @classmethod
        def _read(cls, folder, meta):
            return cls(meta["letters"])

    class Shape(Embedder):
        name, modalities, dim = "shape", frozenset({"image"}), 2

        def embed(self, x, kind=None, missing="error"):
            return np.ones((len(x), 2), np.float32)

        def _write(self, folder):
            return None

        @classmethod
        def _read(cls, folder, meta):
            return cls()

    class Alphabet(UserModel):
        "Recommend in the order of the alphabet."

        def learn(self, history, matrix):
            return {}

        def score_known(self, rows, users):
            order = np.argsort(np.argsort(self.ids))
            return np.tile(-order.astype(np.float32), (rows.shape[0], 1))

    return {
        "Letters": (Letters("xyz"), embed),
        "Shape": (Shape(), embed),
        "Alphabet": (Alphabet().fit(history()), score),
    }


@pytest.mark.parametrize("name", ["Letters", "Shape", "Alphabet"])
def test_a_class_of_ones_own_comes_back(name, tmp_path):
    made, says = own_classes()[name]
    made.save(tmp_path / "own")
    again = type(made)._family.load(tmp_path / "own")
    assert type(again).__name__ == name
    np.testing.assert_allclose(says(again), says(made))


def test_a_recommender_of_ones_own_parts_comes_back(tmp_path):
    own = own_classes()
    letters, shape, alphabet = (type(own[n][0]) for n in ("Letters", "Shape", "Alphabet"))
    made = prodrec.Recommender([shape(), letters("rst")], collaborative=alphabet()).fit(
        shop(20), history()
    )
    made.save(tmp_path / "r")
    again = prodrec.Recommender.load(tmp_path / "r")
    assert [type(e) for e in again.embedders.values()] == [shape, letters]
    assert again.embedders["letters"].letters == "rst"
    assert type(again.profiles.model) is alphabet
    for query in ({"text": "red shirt"}, {"user": "u0"}):
        assert again.recommend(5, **query).ids == made.recommend(5, **query).ids


def test_an_unknown_class_is_refused_with_the_line_to_import(tmp_path):
    made, _ = own_classes()["Letters"]
    made.save(tmp_path / "own")
    family = type(made)._family
    known = family._classes.pop("Letters")
    try:
        with pytest.raises(ValueError, match="import it first, `from test_saved import Letters`"):
            family.load(tmp_path / "own")
    finally:
        family._classes["Letters"] = known


def test_every_class_of_ours_is_found_by_a_session_that_has_not_imported_it():
    homes = {cls.__name__: cls.__module__ for cls in registered()}
    families = {cls.__name__: cls._family.__module__ for cls in registered()}
    known = {name: f"prodrec.{module}" for name, module in prodrec.SAVED_IN.items()}
    missing = {n: m for n, m in homes.items() if m != families[n] and known.get(n) != m}
    assert not missing, f"name them in SAVED_IN: {missing}"


@pytest.mark.parametrize("name", ["Popularity", "ItemKNN"])
def test_a_class_of_the_same_name_never_takes_the_place_of_one_of_ours(name, tmp_path):
    from prodrec.recommend import collaborative
    from prodrec.recommend.user_models import UserModel

    ours = getattr(collaborative, name)
    ours().fit(history()).save(tmp_path / "ours")
    alphabet = type(own_classes()["Alphabet"][0])
    theirs = type(name, (alphabet,), {"__module__": "mine"})
    theirs().fit(history()).save(tmp_path / "theirs")
    try:
        for family in (UserModel, ours):
            assert type(family.load(tmp_path / "ours")) is ours
        for family in (UserModel, theirs):
            assert type(family.load(tmp_path / "theirs")) is theirs
        with pytest.raises(ValueError, match=f"{name} of prodrec.* not one of mine"):
            theirs.load(tmp_path / "ours")
    finally:
        del UserModel._classes[name]["mine"]
    wanted = f"`from mine import {name}`"
    with pytest.raises(ValueError, match=wanted):  # a session without it, where ours is known
        UserModel.load(tmp_path / "theirs")


def test_a_class_of_a_script_is_found_under_the_name_of_the_script(tmp_path):
    (tmp_path / "mine.py").write_text(
        "from prodrec.core import Saved\n"
        "class Word(Saved):\n"
        "    def _write(self, folder): return {}\n"
        "    @classmethod\n"
        "    def _read(cls, folder, meta): return cls()\n"
        "if __name__ == '__main__': Word().save('word')\n"
    )
    subprocess.run([sys.executable, "mine.py"], cwd=tmp_path, check=True)
    assert read_manifest(tmp_path / "word")["meta"]["module"] == "mine"
    code = "import mine; print(type(mine.Word.load('word')).__module__)"
    told = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True
    )
    assert told.stdout.strip() == "mine", told.stderr


# -- folders of ours that contain one


def test_a_recommender_is_found_in_a_folder_that_contains_it(tmp_path):
    from prodrec.core import save_folder

    made = recommender()
    with save_folder(tmp_path / "outer", "Workspace") as folder:
        made.save(folder / "recommender")
    again = prodrec.Recommender.load(tmp_path / "outer")
    assert again.catalog.ids == made.catalog.ids
    assert prodrec.Catalog.load(tmp_path / "outer").ids == made.catalog.ids
    assert read_manifest(tmp_path / "outer" / "recommender")["kind"] == "Recommender"
    with pytest.raises(ValueError, match="not a Classifier"):
        prodrec.ImageClassifier.load(tmp_path / "outer")


def test_a_recommender_of_version_0_1_loads(tmp_path):
    import json

    from prodrec.core import save_folder

    made = recommender()
    meta = {"classifier": False, "sees": False, "complements": False, "feedback": None}
    meta |= {"weights": made.weights, "parts": list(made.embedders)}
    with save_folder(tmp_path / "old", "Recommender", **meta) as folder:
        for name, e in made.embedders.items():
            e.save(folder / name)
        made.profiles.save(folder / "people")
        made.index.save(folder / "index")
        made.catalog.save(folder / "catalog")
    file = tmp_path / "old" / "manifest.json"
    manifest = json.loads(file.read_text(encoding="utf-8"))
    del manifest["format"]  # version 0.1 wrote none
    file.write_text(json.dumps(manifest), encoding="utf-8")
    again = prodrec.Recommender.load(tmp_path / "old")
    query = {"id": "000", "text": "red", "user": "u0"}
    assert again.recommend(9, **query).ids == made.recommend(9, **query).ids


def test_feedback_never_lies_inside_a_saved_folder(tmp_path):
    from prodrec.apps.workspace import Workspace

    made = recommender()
    made.feedback("eve", "001", "like")
    Workspace(recommender=made).save(tmp_path / "shop")
    assert not list((tmp_path / "shop").rglob("*.sqlite"))
    again = prodrec.Recommender.load(tmp_path / "shop")
    assert again.recommend(3, user="eve").ids == made.recommend(3, user="eve").ids
    again.feedback("eve", "002", "like")
    prodrec.Recommender.load(tmp_path / "shop")  # still whole


# -- folders of strangers: every damage is one ValueError, and nothing grows beyond measure


def resealed(folder: Path):
    "Write the checksums anew, as whoever changes a file on purpose does."
    for path in sorted(folder.rglob("manifest.json"), key=lambda p: -len(p.parts)):
        manifest = json.loads(path.read_text())
        there = [p for p in path.parent.rglob("*") if p.is_file() and p != path]
        digests = {p.relative_to(path.parent).as_posix(): file_digest(p) for p in there}
        path.write_text(json.dumps(manifest | {"files": digests}))


def zeros(file: Path):
    "A member of 200 MB of zeros in an archive of 200 kB."
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr("mean.npy", bytes(200_000_000))


def repeated(file: Path):
    "A text of 50 kB in 200,000 rows: 10 GB in 2 kB."
    rows = pa.DictionaryArray.from_arrays(pa.array(np.zeros(200_000, np.int32)), ["x" * 50_000])
    pq.write_table(pa.table({"image": rows, "title": rows}), file)


@pytest.mark.parametrize("name", ["Catalog", "History", "PCAEmbedder", "FaissIndex", "ItemKNN"])
def test_bombs_are_refused_by_their_size(name, tmp_path):
    made = MADE[name][0]()
    made.save(tmp_path / "saved")
    files = [f for f in (tmp_path / "saved").rglob("*") if f.suffix in (".parquet", ".npz")]
    for file in files:
        keep = file.read_bytes()
        (repeated if file.suffix == ".parquet" else zeros)(file)
        resealed(tmp_path / "saved")
        with pytest.raises(ValueError, match="it is not read"):
            type(made)._family.load(tmp_path / "saved")
        file.write_bytes(keep)
    assert files or name == "FaissIndex"


def test_a_list_of_checksums_without_a_file_is_damage(tmp_path):
    shop(9).save(tmp_path / "saved")
    path = tmp_path / "saved" / "manifest.json"
    manifest = json.loads(path.read_text())
    for files in ({}, [], None, {"products.parquet": 7}, {"../x": "0"}):
        path.write_text(json.dumps(manifest | {"files": files}))
        with pytest.raises(ValueError, match="is damaged"):
            prodrec.Catalog.load(tmp_path / "saved")


def test_files_that_are_no_pictures_are_not_packed(tmp_path):
    (tmp_path / "id_rsa").write_text("secret")
    table = shop(3).products.assign(image=[str(tmp_path / "id_rsa"), "/dev/zero", None])
    prodrec.Catalog(table).save(tmp_path / "saved", images=True)
    archive = tmp_path / "saved" / "images.zip"
    assert not archive.exists() or not zipfile.ZipFile(archive).namelist()
    with pytest.raises(prodrec.core.ImageError, match="no ordinary file"):
        prodrec.data.pictures.read_ref("/dev/zero")


def test_a_matrix_with_an_index_outside_is_damage(tmp_path):
    user_model("ItemKNN").save(tmp_path / "saved")
    file, *_ = [f for f in (tmp_path / "saved").glob("*.npz") if "indices" in np.load(f)]
    arrays = dict(np.load(file))
    arrays["indices"] = arrays["indices"] + 10**6
    np.savez(file, **arrays)
    resealed(tmp_path / "saved")
    with pytest.raises(ValueError, match="indices"):
        prodrec.recommend.user_models.UserModel.load(tmp_path / "saved")


def test_the_damaged_head_of_an_array_is_damage(tmp_path):
    embedder("TfidfEmbedder").fit(shop(9)).save(tmp_path / "saved")
    file = tmp_path / "saved" / "idf.npy"
    data = bytearray(file.read_bytes())
    data[20] = 0
    file.write_bytes(data)
    resealed(tmp_path / "saved")
    with pytest.raises(ValueError):
        prodrec.recommend.embedders.Embedder.load(tmp_path / "saved")
