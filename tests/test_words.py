"""Words of any script, label words that are removed, and word vectors in every form."""

import gzip
from itertools import product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prodrec.models.words import (
    as_texts,
    embedding_matrix,
    label_forms,
    mask_label_words,
    read_vectors,
    word_form,
    words_of,
)

# -- word vectors


WORDS, VECTORS = (
    ["grün", "Silk", "silk", "wood", "\x85"],
    np.arange(10, dtype=np.float32).reshape(5, 2) / 4,
)


def text_file(path, header="", end="\n", words=WORDS, sep=" "):
    body = "".join(
        f"{w}{sep}{sep.join(map(str, v))}{end}" for w, v in zip(words, VECTORS, strict=True)
    )
    data = (header + body).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


FORMS = product(
    ["v.txt", "v.vec", "v.txt.gz", "v.vec.gz"], ["", "5 2\n"], ["\n", " \n", "\r\n"], [" ", "\t"]
)


@pytest.mark.parametrize("name,header,end,sep", FORMS)
def test_text_forms_of_word_vectors(tmp_path, name, header, end, sep):
    found = read_vectors(
        text_file(tmp_path / name, header, end, sep=sep), ["silk", "grün", "WOOD", "absent"]
    )
    assert found.index.tolist() == ["silk", "grün"] and found.to_numpy().dtype == np.float32
    assert (
        found.loc["silk"].tolist() == VECTORS[2].tolist()
    )  # the exact word, not the earlier "Silk"
    assert found.loc["grün"].tolist() == VECTORS[0].tolist()


def test_words_with_spaces_and_words_in_other_case(tmp_path):
    (tmp_path / "v.txt").write_bytes(b"a 1 2\nat me@x.y 3 4\n. . 5 6\nAt 7 8\n\xff\xfe 9 9\n")
    assert read_vectors(tmp_path / "v.txt", ["at", "a"]).loc["at"].tolist() == [7, 8]


@pytest.mark.parametrize(
    "save,dtype", product([np.savez, np.savez_compressed], [np.float16, np.float32, np.float64])
)
def test_npz_form_of_word_vectors(tmp_path, save, dtype):
    many = [*WORDS, *(f"w{n}" for n in range(9000))]
    vectors = np.concatenate([VECTORS, np.random.default_rng(0).normal(size=(9000, 2))]).astype(
        dtype
    )
    save(tmp_path / "v.npz", words=np.array(many), vectors=vectors)
    found = read_vectors(tmp_path / "v.npz", ["grün", "w8999", "silk", "absent"])
    assert (
        found.index.tolist() == ["grün", "w8999", "silk"] and found.to_numpy().dtype == np.float32
    )
    np.testing.assert_array_equal(found, vectors[[0, 9004, 2]].astype(np.float32))


DAMAGED = {
    "empty.txt": b"",
    "no numbers.txt": b"a b c\n",
    "a word alone.txt": b"silk\n",
    "too few.txt": b"a 1 2\nsilk 1\n",
    "no number.txt": b"a 1 2\nsilk 1 x\n",
    "not finite.vec": b"2 2\na 1 2\nsilk 1 nan\n",
    "only a header.vec": b"2 2\n",
    "cut.txt.gz": gzip.compress(b"silk 1 2\n" * 99999)[:-2000],
    "no gzip.txt.gz": b"silk 1 2\n",
    "no zip.npz": b"silk 1 2\n",
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_word_vectors(tmp_path, name):
    (tmp_path / name).write_bytes(DAMAGED[name])
    with pytest.raises(
        ValueError,
        match="^`embedding` .*(holds no word vectors that can be read|has none of the 2 words)",
    ):
        read_vectors(tmp_path / name, ["silk", "zinc"])


def test_damaged_word_vectors_say_where(tmp_path):
    (tmp_path / "v.txt").write_bytes(DAMAGED["too few.txt"])
    with pytest.raises(ValueError, match="line 2 is no word with 2 numbers"):
        read_vectors(tmp_path / "v.txt", ["silk"])
    with pytest.raises(FileNotFoundError, match="is no file: give a .txt, .vec or .npz file"):
        read_vectors(tmp_path / "w.txt", ["silk"])


@pytest.mark.parametrize(
    "arrays",
    [
        {"words": np.array(["silk"])},
        {"words": np.array(["silk"]), "vectors": np.ones(2)},
        {"words": np.array(["silk"]), "vectors": np.ones((2, 2))},
        {"words": np.array(["silk"]), "vectors": np.ones((1, 2), int)},
        {"words": np.array(["silk"]), "vectors": np.full((1, 2), np.inf)},
        {
            "words": np.array(["silk"], object),
            "vectors": np.ones((1, 2)),
        },  # would have to be unpickled
        {"words": np.array(["silk", "tin", "zinc"]), "vectors": np.ones((2, 3)).T},
    ],
)
def test_npz_files_that_are_not_word_vectors(tmp_path, arrays):
    np.savez(tmp_path / "v.npz", **arrays)
    with pytest.raises(ValueError, match="holds no word vectors that can be read"):
        read_vectors(tmp_path / "v.npz", ["silk"])


def test_words_without_a_vector_repeat():
    found = pd.DataFrame(np.float32([[3, 4], [0, 5]]), index=["a", "b"])
    one, same, other = (embedding_matrix(found, ["", "[UNK]", "b", "x"], seed=s) for s in (0, 0, 1))
    assert (one == same).all() and (one[3] != other[3]).all() and one[2].tolist() == [0, 5]


# -- masking


PLURALS = (
    "shirt shirts, watch watches, dress dresses, purse purses, box boxes, shoe shoes, scarf scarves, knife knives, glove gloves, "  # noqa: E501
    "accessory accessories, tie ties, man men, woman women, lens lenses, case cases, vase vases, brush brushes, glass glasses, "  # noqa: E501
    "sunglasses sunglass, mouse mouses, size sizes, toy toys, bus buses, man mens, movie movies, blouse blouses, potato potatoes"  # noqa: E501
)


@pytest.mark.parametrize("pair", PLURALS.split(", "))
def test_singular_and_plural_are_one(pair):
    one, many = pair.split()
    assert word_form(one) == word_form(many)
    assert mask_label_words([f"a {one.upper()} and {many}"], [many]) == ["a and"]
    assert mask_label_words([f"a {one.upper()} and {many}"], [one]) == ["a and"]


@pytest.mark.parametrize(
    "classes,text,left",
    [
        (["Tshirts"], "T-Shirt t shirt TSHIRT tshirts t-shirts shirt", "shirt"),
        (["T-shirt"], "T-Shirt tshirts", ""),
        (["Handbags"], "hand bag, hand-bags; handbag & bag", ", ; & bag"),
        (["Flip Flops"], "flipflop flip-flops flop", ""),
        (["Casual Shoes"], "casual dress, SHOE", "dress,"),
        (["cap"], "a cape to escape", "a cape to escape"),
        (["Baby Care"], "baby's care, careful babies", ", careful"),
        (["чашка"], "ЧАШКА чай", "чай"),
        (["Größe"], "GRÖSSE und größe", "und"),
        (["ＭＵＧ"], "mug mugs ｍｕｇ", ""),
        (["a", "and", "&", ""], "a and b", "b"),
    ],
)
def test_what_masking_leaves(classes, text, left):
    assert mask_label_words([text], classes) == [left]


def test_a_class_of_one_letter_is_masked_as_a_word():
    assert mask_label_words(["x xx boxx X"], ["X"]) == ["xx boxx"]


words = st.lists(
    st.sampled_from(
        "red boots boot t-shirt tshirt shirts hand bag handbags cape of für Größe 青".split()
    ),
    max_size=12,
)
any_text = st.one_of(st.text(max_size=60), words.map(" ".join))
CLASSES = ["Boots", "T-shirts", "handbag", "Größen"]


@given(st.lists(any_text, max_size=5))
@settings(max_examples=150, deadline=None)
def test_masking_leaves_no_label_word_and_nothing_new(texts):
    masked = mask_label_words(texts, CLASSES)
    assert len(masked) == len(texts)
    assert mask_label_words(masked, CLASSES) == masked
    gone = {word_form(w) for w in ("boots", "tshirts", "shirt", "handbag", "größen")}
    for before, after in zip(texts, masked, strict=True):
        left = words_of(after)
        assert not gone & set(map(word_form, left))
        rest = iter(words_of(before))
        assert all(w in rest for w in left)  # the same words in the same order, without some
        kept = [w for w in words_of(before) if w in ("red", "cape", "of", "für", "青")]
        assert [w for w in left if w in kept] == kept


@given(any_text, st.lists(any_text, max_size=4))
@settings(max_examples=100, deadline=None)
def test_masking_takes_any_names(text, classes):
    masked = mask_label_words([text], classes)
    assert mask_label_words(masked, classes) == masked


@pytest.mark.parametrize(
    "label,text,left",
    [
        ("Schuhe", "Roter Schuh, rote Schuhe, den Schuhen", "Roter , rote , den"),
        ("Taschen", "Tasche aus Leder, Taschentuch", "aus Leder, Taschentuch"),
        ("zapatos", "zapato de cuero", "de cuero"),
        ("чашки", "Большая чашка, чашек нет", "Большая , чашек нет"),
        ("जूता", "लाल जूते और चप्पल", "लाल और चप्पल"),
        ("连衣裙", "红色连衣裙2024新款", "红色 2024新款"),
        ("スニーカー", "白いスニーカー M", "白い M"),
        ("รองเท้า", "รองเท้าผ้าใบ", "ผ้าใบ"),
        ("T恤", "纯棉t恤 男", "纯棉 男"),
        ("watch", "the women's watch's strap", "the women's strap"),
    ],
)
def test_inflections_and_scripts(label, text, left):
    assert mask_label_words([text], [label]) == [left]
    assert not {word_form(w) for w in words_of(left)} & label_forms([label])


@pytest.mark.parametrize(
    "text,found",
    [
        ("Size M, 2 x 5", ["size", "m", "2", "x", "5"]),
        ("红色连衣裙", ["红色", "色连", "连衣", "衣裙"]),
        ("靴", ["靴"]),
        ("लाल जूते", ["लाल", "जूते"]),
        ("ＸＬ Größe", ["xl", "grosse"]),
    ],
)
def test_words_of_every_script(text, found):
    assert words_of(text) == found and found


def test_a_vector_is_found_without_its_accents(tmp_path):
    (tmp_path / "v.txt").write_text("grün 1 2\ngrun 3 4\nété 5 6\n", encoding="utf-8")
    found = read_vectors(tmp_path / "v.txt", ["grun", "ete"])
    assert found.loc["grun"].tolist() == [3, 4] and found.loc["ete"].tolist() == [5, 6]


def test_missing_texts_are_empty():
    assert as_texts([None, np.nan, pd.NA, "a"]) == ["", "", "", "a"] and as_texts(None) == [""]
    with pytest.raises(TypeError, match="a text is a str, received bytes"):
        as_texts([b"a"])
