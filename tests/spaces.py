"""Embedders of the tests' own: a joint space of pictures and texts, and a network without
training.
"""

import keras
import numpy as np

from prodrec.data.catalog import Catalog
from prodrec.recommend.embedders import Embedder, as_items, check_kind, embed_pictures
from prodrec.stats import unit_rows


def tiny_network(seed: int = 3) -> keras.Model:
    "Return a small network with random weights, from uint8 (n, 16, 16, 3) to (n, 6)."
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((16, 16, 3), dtype="uint8")
    x = keras.layers.Conv2D(6, 3, strides=2)(keras.layers.Rescaling(1 / 255)(inputs))
    return keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(x), name="tiny")


class ColourWords(Embedder):
    """A joint space of three colours: a picture is its mean colour, a text the colours that it
    names.
    """

    name, modalities, dim = "colour-words", frozenset({"image", "text"}), 3

    def embed(self, x, kind=None, missing="error"):
        kind = check_kind(self, kind, missing)
        if isinstance(x, Catalog):
            if kind != "text":
                return embed_pictures(x, self._seen, (8, 8), "stretch", missing)
            x = x.texts()
        elif kind is None:
            raise ValueError("`kind` must be 'image' or 'text': the space takes both")
        if kind == "image":
            return embed_pictures(x, self._seen, (8, 8), "stretch", missing)
        texts = [str(t).lower().split() for t in as_items(x)]
        return unit_rows([[t.count(c) for c in ("red", "green", "blue")] for t in texts])

    def _seen(self, pixels):
        mean = np.float32(pixels[:]).mean(axis=(1, 2)).reshape(-1, 3)
        return np.maximum(mean - mean.mean(axis=1, keepdims=True), 0)  # grey and white say nothing

    def _write(self, folder):
        pass

    @classmethod
    def _read(cls, folder, meta):
        return cls()


def encoder_folder(path, words: str, dim: int = 16) -> dict:
    "Write a BERT with random weights and a tokenizer that knows `words`; return its settings."
    import tokenizers
    from tokenizers import models, normalizers, pre_tokenizers

    from prodrec.models.transformer import bert_network, write_bert

    known = {word: n for n, word in enumerate(["[UNK]", *dict.fromkeys(words.lower().split())])}
    made = tokenizers.Tokenizer(models.WordLevel(known, unk_token="[UNK]"))
    made.normalizer, made.pre_tokenizer = normalizers.Lowercase(), pre_tokenizers.Whitespace()
    path.mkdir(parents=True, exist_ok=True)
    made.save(str(path / "tokenizer.json"))
    config = {"hidden_size": dim, "num_attention_heads": 2, "num_hidden_layers": 2}
    config |= {"intermediate_size": 2 * dim, "vocab_size": len(known)}
    config |= {"max_position_embeddings": 32, "layer_norm_eps": 1e-12, "model_type": "bert"}
    keras.utils.set_random_seed(5)
    write_bert(bert_network(config), config, path)
    return config
