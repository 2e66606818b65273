"""A published encoder of sentences gives the vectors that its formula says, and damage is named."""

import json
from math import erf, sqrt

import keras
import numpy as np
import pytest

from prodrec.models import transformer
from prodrec.models.transformer import (
    bert_encoder,
    bert_names,
    bert_network,
    onnx_encoder,
    pooled,
    read_encoder,
    read_pooling,
    read_safetensors,
    static_encoder,
    static_table,
    write_bert,
    write_safetensors,
)

CONFIG = {"hidden_size": 8, "num_attention_heads": 2, "num_hidden_layers": 2, "vocab_size": 20}
CONFIG |= {"intermediate_size": 12, "max_position_embeddings": 9, "layer_norm_eps": 1e-12}
CONFIG |= {"model_type": "bert"}
IDS, MASK = np.int32([[1, 7, 8, 2], [3, 9, 0, 0]]), np.int32([[1, 1, 1, 1], [1, 1, 0, 0]])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    "A published encoder: arrays of random numbers under their published names."
    path = tmp_path_factory.mktemp("encoder")
    keras.utils.set_random_seed(2)
    network = bert_network(CONFIG)
    rng = np.random.default_rng(2)
    network.set_weights([rng.normal(0, 0.5, w.shape) for w in network.get_weights()])
    write_bert(network, CONFIG, path)
    arrays = dict(read_safetensors(path / "model.safetensors"))
    arrays["embeddings.token_type_embeddings.weight"] = np.float32(rng.normal(size=(2, 8)))
    arrays = {f"bert.{name}": np.array(a) for name, a in arrays.items()}
    write_safetensors(path / "model.safetensors", arrays)
    return path


def normalised(x, weights, name):
    x = x - x.mean(-1, keepdims=True)
    x = x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-12)
    return x * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def dense(x, weights, name):
    return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]


def bert_by_hand(folder, ids):
    "Compute BERT for one sentence without padding, from the paper's formulas, in numpy."
    w = {k[5:]: np.float64(v) for k, v in read_safetensors(folder / "model.safetensors").items()}
    x = w["embeddings.word_embeddings.weight"][ids]
    x = x + w["embeddings.position_embeddings.weight"][: len(ids)]
    x = normalised(x + w["embeddings.token_type_embeddings.weight"][0], w, "embeddings.LayerNorm")
    for n in range(2):
        at = f"encoder.layer.{n}."
        q, k, v = (dense(x, w, f"{at}attention.self.{p}") for p in ("query", "key", "value"))
        heads = []
        for h in (slice(0, 4), slice(4, 8)):
            s = np.exp(q[:, h] @ k[:, h].T / 2)
            heads.append(s / s.sum(1, keepdims=True) @ v[:, h])
        x = x + dense(np.hstack(heads), w, f"{at}attention.output.dense")
        x = normalised(x, w, f"{at}attention.output.LayerNorm")
        wide = dense(x, w, f"{at}intermediate.dense")
        wide = wide / 2 * (1 + np.vectorize(erf)(wide / sqrt(2)))
        x = normalised(x + dense(wide, w, f"{at}output.dense"), w, f"{at}output.LayerNorm")
    return x


@pytest.mark.parametrize("engine", ["keras", "openvino"])
def test_the_vectors_are_those_of_the_paper(folder, engine):
    if engine == "openvino":
        pytest.importorskip("openvino")
    found = read_encoder(folder, engine)(IDS, MASK)
    wanted = [bert_by_hand(folder, IDS[0]).mean(0), bert_by_hand(folder, IDS[1, :2]).mean(0)]
    np.testing.assert_allclose(found, wanted, atol=1e-4)


def test_the_first_token_where_the_file_says_so(folder, tmp_path):
    for name in ("model.safetensors", "config.json"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    (tmp_path / "1_Pooling").mkdir()
    how = {"word_embedding_dimension": 8, "pooling_mode_cls_token": True}
    how |= {"pooling_mode_mean_tokens": False}
    (tmp_path / "1_Pooling" / "config.json").write_text(json.dumps(how))
    found = read_encoder(tmp_path, "keras")(IDS[:1], MASK[:1])
    np.testing.assert_allclose(found[0], bert_by_hand(folder, IDS[0])[0], atol=1e-4)


def test_pooling_that_is_not_known(tmp_path):
    assert read_pooling(None) == read_pooling(tmp_path / "none.json") == "mean"
    file = tmp_path / "config.json"
    file.write_text(json.dumps({"pooling_mode_max_tokens": True}))
    with pytest.raises(ValueError, match="pools in a way that is not known: pooling_mode_max"):
        read_pooling(file)
    states = np.float32([[[1, 2], [3, 4]]])
    assert np.asarray(pooled(states, np.int32([[0, 0]]))).tolist() == [[0, 0]]


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.float16, np.int64, np.int32, np.uint8])
def test_arrays_come_back_as_they_were(tmp_path, kind):
    given = {"a": np.arange(6).reshape(2, 3).astype(kind), "one": np.array([7], kind)}
    write_safetensors(tmp_path / "x", given)
    found = read_safetensors(tmp_path / "x")
    for name, array in given.items():
        assert found[name].dtype == kind and (found[name] == array).all()


def test_the_file_is_as_the_format_says(tmp_path):
    write_safetensors(tmp_path / "x", {"a": np.float32([1, 2])})
    data = (tmp_path / "x").read_bytes()
    n = int.from_bytes(data[:8], "little")
    assert json.loads(data[8 : 8 + n])["a"] == {
        "dtype": "F32",
        "shape": [2],
        "data_offsets": [0, 8],
    }
    assert n % 8 == 0 and np.frombuffer(data[8 + n :], "<f4").tolist() == [1, 2]


def damaged(head, body=bytes(8)):
    text = head if isinstance(head, bytes) else json.dumps(head).encode()
    return len(text).to_bytes(8, "little") + text + body


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff" * 64,
        damaged(b"{"),
        damaged([1]),
        damaged({"a": {"dtype": "F32", "shape": [9], "data_offsets": [0, 8]}}),
        damaged({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 800]}}),
        damaged({"a": {"dtype": "Q4", "shape": [2], "data_offsets": [0, 8]}}),
        damaged({"a": {"shape": [2]}}),
    ],
)
def test_a_damaged_file_is_refused_in_words(tmp_path, data):
    (tmp_path / "x").write_bytes(data)
    with pytest.raises(ValueError, match="is no file of weights that can be read"):
        read_safetensors(tmp_path / "x")


def test_weights_that_do_not_fit(folder, tmp_path):
    arrays = {k: np.array(v) for k, v in read_safetensors(folder / "model.safetensors").items()}
    (tmp_path / "config.json").write_text(json.dumps(CONFIG | {"hidden_size": 16}))
    write_safetensors(tmp_path / "model.safetensors", arrays)
    with pytest.raises(ValueError, match="does not fit the layer 'words'"):
        read_encoder(tmp_path, "keras")
    (tmp_path / "config.json").write_text(json.dumps(CONFIG | {"num_hidden_layers": 3}))
    with pytest.raises(ValueError, match="it is no BERT of 3 layers"):
        read_encoder(tmp_path, "keras")
    (tmp_path / "config.json").write_text(json.dumps(CONFIG | {"model_type": "t5"}))
    with pytest.raises(ValueError, match="hold a network of type 't5'"):
        read_encoder(tmp_path)
    assert len({n for names in bert_names(3).values() for n in names}) == 4 + 3 * 16
    with pytest.raises(FileNotFoundError, match="neither model.safetensors nor model.onnx"):
        read_encoder({})


def test_an_engine_that_disagrees_is_not_taken(monkeypatch):
    pytest.importorskip("openvino")
    network = bert_network(CONFIG | {"num_hidden_layers": 1})
    monkeypatch.setattr(transformer, "smallest_cosine", lambda a, b: 0.99)
    with pytest.raises(ValueError, match="gives other vectors than Keras"):
        bert_encoder(network, "openvino")
    monkeypatch.setattr(transformer, "with_openvino", lambda network: None)
    answer = bert_encoder(network)(IDS, MASK)  # "auto" stays with Keras
    assert (answer == network.predict_on_batch([IDS, MASK])).all()
    with pytest.raises(ValueError, match="`engine` must be 'auto', 'keras' or 'openvino'"):
        bert_encoder(network, "torch")


def test_a_table_of_word_vectors(tmp_path):
    table = np.float16([[0, 0], [2, 0], [0, 4]])
    run = static_encoder(table)
    assert run(np.int32([[1, 2, 0], [9, 0, 0]]), np.int32([[1, 1, 0], [1, 0, 0]])).tolist() == [
        [1, 2],
        [0, 4],
    ]
    assert static_table({"a": table, "b": table}) is None
    write_safetensors(tmp_path / "model.safetensors", {"embedding": table})
    assert read_encoder(tmp_path)(np.int32([[1]]), np.int32([[1]])).tolist() == [[2, 0]]


def test_an_onnx_file_gets_what_it_asks_for(monkeypatch):
    "A stand-in for the runtime: one number a token, so that the mean is known."
    fed = {}

    def answer(given):
        fed.update(given)
        return np.float32(given["input_ids"])[:, :, None]

    names = ["input_ids", "attention_mask", "token_type_ids"]
    monkeypatch.setattr(transformer, "_onnx_session", lambda path: (names, answer))
    assert onnx_encoder("model.onnx")(IDS, MASK).tolist() == [[4.5], [6]]
    assert onnx_encoder("model.onnx", "cls")(IDS, MASK).tolist() == [[1], [3]]
    assert {fed[name].dtype for name in names} == {np.dtype(np.int64)}
    assert not fed["token_type_ids"].any() and (fed["attention_mask"] == MASK).all()
    names.append("pixel_values")
    with pytest.raises(ValueError, match="is no encoder of sentences: it takes input_ids"):
        onnx_encoder("model.onnx")
