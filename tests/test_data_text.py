"""Properties of the tokenizer that every script keeps."""

import unicodedata

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodrec.data.text import fold, normalise, normalise_titles, short_label, stem, tokenize, words


@given(st.text(max_size=40))
def test_folding_twice_changes_nothing(text):
    assert fold(fold(text)) == fold(text)
    assert normalise(normalise(text)) == normalise(text)


@given(st.text(max_size=40))
def test_the_form_of_unicode_does_not_matter(text):
    forms = [unicodedata.normalize(form, text) for form in ("NFC", "NFD", "NFKC", "NFKD")]
    assert len({tuple(tokenize(form)) for form in forms}) == 1


@given(st.text(max_size=40).filter(lambda text: not set("'’`") & set(text)))
def test_no_letter_and_no_digit_is_lost(text):
    assert [c for c in "".join(words(text)) if c.isalnum()] == [
        c for c in fold(text) if c.isalnum()
    ]


@given(st.text(alphabet="红色女士连衣裙鞋ワンピース", min_size=1, max_size=12), st.data())
def test_a_part_of_a_text_without_spaces_is_found(text, data):
    start = data.draw(st.integers(0, len(text) - 1))
    part = text[start : start + data.draw(st.integers(1, len(text)))]
    assert set(tokenize(part, singles=True)) <= set(tokenize(text, singles=True))
    if len(part) > 1:
        assert set(tokenize(part)) <= set(tokenize(text))


@pytest.mark.parametrize("titles", [("काला", "कील", "किला", "कली"), ("ร้าน", "ราน"), ("й", "и")])
def test_different_words_stay_different(titles):
    assert len(set(map(normalise, titles))) == len(titles)
    assert len({tuple(tokenize(title)) for title in titles}) == len(titles)


@pytest.mark.parametrize(
    ("a", "b"),
    [("iPhone 5 case", "iPhone 6 case"), ("Shirt size M", "Shirt size S"), ("Mug 2", "Mug 3")],
)
def test_short_words_tell_titles_apart(a, b):
    assert set(tokenize(a)) != set(tokenize(b)) and normalise(a) != normalise(b)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("Shoes", "shoe"),
        ("SCARVES", "scarf"),
        ("children's", "Child"),
        ("Hoodies", "hoodie"),
        ("striped", "stripes"),
        ("Crème brûlée", "creme brulee"),
        ("ﾊﾝﾄﾞﾊﾞｯｸﾞ", "ハンドバッグ"),
        ("حَقِيبَة", "حقيبة"),
    ],
)
def test_forms_of_a_word_are_one(a, b):
    assert tokenize(a) == tokenize(b)


@given(st.text(alphabet="abcdefghijklmnopqrstuvwxyz", min_size=4, max_size=12))
def test_a_plural_has_the_stem_of_its_singular(word):
    if not word.endswith(("s", "ed", "u", "i", "x", "z", "h", "y", "o", "f", "e")):
        assert stem(word + "s") == stem(word)


def test_a_missing_title_is_empty():
    titles = pd.Series([None, float("nan"), pd.NA, "", 12], index=list("abcde"))
    assert normalise_titles(titles).to_dict() == dict(
        zip("abcde", ["", "", "", "", "12"], strict=True)
    )
    assert normalise_titles(titles.iloc[:0]).empty


def test_labels_of_figures_are_short_and_plain():
    assert len(short_label("x" * 100, 10)) == 10
    assert short_label("a\n  b") == "a b"
    assert short_label("$5 and $6").count(r"\$") == 2
