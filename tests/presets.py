"""Networks of KerasHub that are as small as can be, as presets in a folder."""

SMALL = {"hidden_dim": 16, "num_layers": 1, "num_heads": 2, "intermediate_dim": 16}
SEEN = {"patch_size": 8, "image_shape": (32, 32, 3)}


def clip(folder):
    "Write a CLIP of one layer with the letters as its words."
    import keras_hub

    words = ["<|startoftext|>", "<|endoftext|>", "re", "red</w>", "ba", "bag</w>"]
    words += [c + end for c in "abcdefghijklmnopqrstuvwxyz" for end in ("", "</w>")]
    merges = ["r e", "re d</w>", "b a", "ba g</w>"]
    tokens = keras_hub.models.CLIPTokenizer(dict(zip(words, range(99), strict=False)), merges)
    scaling = keras_hub.layers.CLIPImageConverter(image_size=(32, 32), scale=1 / 127.5, offset=-1.0)
    sees = keras_hub.models.CLIPVisionEncoder(**SEEN, **SMALL)
    size = {"vocabulary_size": len(words), "embedding_dim": 16, "max_sequence_length": 16}
    reads = keras_hub.models.CLIPTextEncoder(**size, **SMALL)
    keras_hub.models.CLIPBackbone(sees, reads, 8).save_to_preset(folder)
    keras_hub.models.CLIPPreprocessor(tokens, scaling, 16).save_to_preset(folder)
