"""Networks of KerasHub: as backbones, and as a space for pictures and words, from small presets."""

import io
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from builders import encoded, shop
from presets import SEEN, SMALL, clip

keras_hub = pytest.importorskip("keras_hub", reason='pip install "prodrec[hub]" brings it')
import keras  # noqa: E402

from prodrec import ImageClassifier, ImageEmbedder, Recommender  # noqa: E402
from prodrec.apps.commands import checked_network  # noqa: E402
from prodrec.data.catalog import Catalog  # noqa: E402
from prodrec.models import hub  # noqa: E402
from prodrec.models.backbones import BACKBONES, NETWORKS, known_backbone  # noqa: E402
from prodrec.models.networks import network_entry  # noqa: E402
from prodrec.recommend.embedders import Embedder  # noqa: E402
from prodrec.recommend.joint import JointEmbedder  # noqa: E402

TEXTS = ["red shoe", "a blue bag", "RED shoe"]


def siglip(folder):
    "Write a SigLIP of one layer whose tokenizer has learned some letters."
    spm = pytest.importorskip("sentencepiece")
    proto = io.BytesIO()
    how = {"vocab_size": 20, "model_type": "CHAR", "pad_id": 0, "bos_id": -1, "eos_id": 1}
    spm.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXTS), model_writer=proto, unk_id=2, minloglevel=2, **how
    )
    tokens = keras_hub.models.SigLIPTokenizer(proto=proto.getvalue())
    scaling = keras_hub.layers.SigLIPImageConverter(
        image_size=(32, 32), scale=1 / 127.5, offset=-1.0
    )
    sees = keras_hub.models.SigLIPVisionEncoder(**SEEN, **SMALL)
    size = {"vocabulary_size": 20, "embedding_dim": 16, "max_sequence_length": 16}
    reads = keras_hub.models.SigLIPTextEncoder(**size, **SMALL, projection_dim=16)
    keras_hub.models.SigLIPBackbone(sees, reads).save_to_preset(folder)
    keras_hub.models.SigLIPPreprocessor(tokens, scaling, 16).save_to_preset(folder)


def pictured(n):
    "A shop whose products all have a picture."
    products = shop(n)
    return products[products.products["image"].notna()]


def dino(folder, version=2):
    "Write a DINO of one layer."
    made = getattr(keras_hub.models, f"DINOV{version}Backbone")
    more = {"position_embedding_shape": (32, 32, 3)} if version == 2 else {}
    made(**SEEN, **SMALL, **more).save_to_preset(folder)
    scaling = getattr(keras_hub.layers, f"DINOV{version}ImageConverter")
    scaling(image_size=(32, 32), scale=1 / 255).save_to_preset(folder)


@pytest.fixture(scope="module")
def presets(tmp_path_factory):
    root = tmp_path_factory.mktemp("presets")
    keras.utils.set_random_seed(0)
    for name, write in (("clip", clip), ("siglip", siglip), ("dino", dino)):
        write(str(root / name))
    dino(str(root / "dino3"), 3)
    return root


@pytest.fixture
def registered():
    "Forget backbones that a test registers."
    before = BACKBONES.index.tolist()
    yield
    for name in set(BACKBONES.index) - set(before):
        BACKBONES.drop(name, inplace=True)
        NETWORKS.pop(name, None)


@pytest.mark.parametrize("name", ["clip", "siglip"])
def test_a_space_is_what_its_network_says(name, presets):
    "Pictures and texts against the network itself, and its own preparation of both."
    space = JointEmbedder.from_preset(presets / name)
    picture = np.random.default_rng(0).integers(0, 255, (32, 32, 3), np.uint8)
    model = keras_hub.models.Backbone.from_preset(str(presets / name))
    stem = type(model).__name__.removesuffix("Backbone")
    prepare = getattr(keras_hub.models, f"{stem}Preprocessor").from_preset(str(presets / name))
    made = prepare({"images": picture[None], "prompts": TEXTS[:1]})
    for kind, item, wanted in (
        ("image", picture, model.get_vision_embeddings(made["images"])),
        ("text", TEXTS[0], model.get_text_embeddings(made["token_ids"])),
    ):
        wanted = keras.ops.convert_to_numpy(wanted)[0]
        found = space.embed([item], kind)[0]
        np.testing.assert_allclose(found, wanted / np.linalg.norm(wanted), atol=1e-5)
    texts = space.embed([*TEXTS, "", TEXTS[0]], "text")
    assert not texts[3].any() and np.array_equal(texts[0], texts[4])
    np.testing.assert_allclose(texts[0], texts[2], atol=1e-6)  # "RED" is "red"
    assert space.dim == texts.shape[1] == space.embed(picture, "image").shape[1]


def test_spaces_are_saved_and_loaded_in_another_process(presets, tmp_path):
    spaces = {name: JointEmbedder.from_preset(presets / name) for name in ("clip", "siglip")}
    for name, space in spaces.items():
        space.save(tmp_path / name)
    code = (
        "import sys, numpy as np; from prodrec.recommend.embedders import Embedder\n"
        "p, found = np.full((32, 32, 3), 90, np.uint8), {}\n"
        "for name in ('clip', 'siglip'):\n"
        "    e = Embedder.load(sys.argv[1] + '/' + name)\n"
        "    found[name + 't'] = e.embed(sys.argv[2:], 'text')\n"
        "    found[name + 'p'] = e.embed([p], 'image')\n"
        "np.savez(sys.argv[1] + '/found.npz', **found)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path), *TEXTS], check=True, timeout=300)
    with np.load(tmp_path / "found.npz") as found:
        for name, space in spaces.items():
            np.testing.assert_allclose(found[name + "t"], space.embed(TEXTS, "text"), atol=1e-5)
            own = space.embed([np.full((32, 32, 3), 90, np.uint8)], "image")
            np.testing.assert_allclose(found[name + "p"], own, atol=1e-5)


def test_words_and_pictures_ask_a_recommender(presets):
    space = JointEmbedder.from_preset(presets / "clip")
    assert space.fit(shop(3)) is space and not len(space.history_)
    made = Recommender([space]).fit(pictured(24))
    assert len(made.recommend(5, text="red shoe").ids) == 5
    own = made.recommend(1, image=made.catalog.pixels("004")).to_frame()
    assert own.score.iloc[0] > 0.5 and np.isfinite(own.score).all()
    found = space.classify(pictured(4), ["red shoe", "a blue bag"])
    assert set(found.label) <= {"red shoe", "a blue bag"} and len(found) == len(pictured(4))


def test_a_learned_space_may_stand_on_a_published_one(presets):
    rng, colours = np.random.default_rng(0), {"red": (220, 20, 20), "blue": (20, 20, 220)}
    rows = {}
    for n in range(32):
        name = [*colours][n % 2]
        near = np.clip(np.array(colours[name]) + rng.integers(-20, 20, 3), 0, 255)
        rows[f"{n:02d}"] = (encoded(np.full((32, 32, 3), near, np.uint8)), f"{name} bag")
    catalog = Catalog(pd.DataFrame.from_dict(rows, "index", columns=["image", "title"]))
    space = JointEmbedder.from_preset(presets / "clip")
    ours = JointEmbedder.fit_joint(space.image, space.text, catalog, dim=4, epochs=30, dropout=0.0)
    found = ours.classify(catalog, ["red bag", "blue bag"])
    assert (found.label == catalog.products.title).mean() > 0.9


@pytest.mark.parametrize("name", ["dino", "dino3"])
def test_a_preset_is_a_backbone_like_any_other(name, presets, registered, tmp_path):
    hub.register_preset("dino-of-test", presets / name, dim=16, size=32)
    products = pictured(32)
    products = products[products.products["category"].notna()]
    embedder = ImageEmbedder("dino-of-test", (40, 32), (32, 32))
    wanted = embedder.embed(products)
    assert wanted.shape == (len(products), 16) and len(np.unique(wanted.round(4), axis=0)) > 9
    embedder.save(tmp_path / "e")
    np.testing.assert_allclose(Embedder.load(tmp_path / "e").embed(products), wanted, atol=1e-5)
    probe = ImageClassifier("probe", (32, 32), parts=("dino-of-test",)).fit(products)
    assert probe.predict_proba(products).shape == (
        len(products),
        products.products.category.nunique(),
    )


def test_what_a_picture_becomes():
    maps, tokens = np.ones((2, 3, 4, 5)), np.arange(24.0).reshape(2, 3, 4)
    assert hub.pooled(maps).shape == (2, 5)
    assert np.array_equal(hub.pooled(tokens), tokens[:, 0])
    assert hub.pooled(tokens[:, 0]).shape == (2, 4)


def test_names_are_known_before_anything_is_fetched(registered):
    assert known_backbone("dinov2small") == "dinov2small" and BACKBONES.dim["dinov2small"] == 384
    assert not hub.register_known("vgg61")
    assert network_entry("dinov2base").size == 224  # asked for before anything else
    assert checked_network("siglip2base", []) == "siglip2base"
    with pytest.raises(ValueError, match="'vgg61' is unknown"):
        known_backbone("vgg61")


def test_what_cannot_be_had_is_said(presets, monkeypatch):
    with pytest.raises(FileNotFoundError, match="no-such-preset.* cannot be had.*save_to_preset"):
        hub.hub_network("/nowhere/no-such-preset")
    with pytest.raises(ValueError, match="DINOV2Backbone, which reads no words"):
        JointEmbedder.from_preset(presets / "dino")
    with pytest.raises(ValueError, match="no preprocessor 'os'"):
        hub.load_preprocessor(presets / "clip", "os")
    monkeypatch.setitem(sys.modules, "keras_hub", None)
    with pytest.raises(ImportError, match=r'pip install "prodrec\[hub\]"'):
        JointEmbedder.from_preset("clip_vit_base_patch32")
