"""The index of binary codes against the exact one: filters, changes, strange queries, ties."""

import faiss
import numpy as np
import pytest

from prodrec import Recommender
from prodrec.core import save_folder
from prodrec.recommend import quantized
from prodrec.recommend.contracts import check_index
from prodrec.recommend.index import FaissIndex, Index
from prodrec.recommend.quantized import (
    TOGETHER,
    Margin,
    QuantizedIndex,
    first_width,
    measure_margin,
)
from prodrec.stats import unit_rows


def grouped(n, dim=256, seed=0):
    "Return vectors in twenty groups, as those of products are."
    rng = np.random.default_rng(seed)
    mix = np.random.default_rng(99).normal(size=(24, dim))
    centres = np.random.default_rng(98).normal(size=(20, 24))
    return unit_rows(
        np.float32((centres[rng.integers(20, size=n)] + rng.normal(size=(n, 24))) @ mix)
    )


@pytest.fixture(scope="module")
def pair():
    x = grouped(6_000)
    return QuantizedIndex(many=1).add(x), FaissIndex(approximate=False).add(x)


@pytest.fixture
def scans(monkeypatch):
    "The widths of the scans that were made."
    widths, real = [], quantized.scan_codes

    def counted(codes, queries, width):
        widths.append(int(width))
        return real(codes, queries, width)

    monkeypatch.setattr(quantized, "scan_codes", counted)
    monkeypatch.setattr(quantized, "WIDEST", 1)  # few vectors are looked at as many are
    return widths


def share_found(pair, queries, k, mask=None):
    (rows, scores), (wanted, best) = (index.search(queries, k, mask) for index in pair)
    assert rows.shape == wanted.shape and (np.diff(scores, axis=1) <= 0).all()
    assert (scores <= best + 1e-5).all()
    return np.mean([np.isin(a, b).mean() for a, b in zip(rows, wanted, strict=True)])


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_it_keeps_the_contract(dtype):
    check_index(lambda: QuantizedIndex(dtype, many=1))


@pytest.mark.parametrize("share", [1.0, 0.6, 0.2])
@pytest.mark.parametrize("k", [1, 10, 60])
def test_the_scan_finds_what_the_table_finds(pair, scans, k, share):
    mask = np.random.default_rng(1).random(6_000) < share
    assert share_found(pair, grouped(60, seed=5), k, mask) >= 0.995
    assert scans and scans[0] >= first_width(pair[0].margin.widths, k)  # it was asked


def test_a_narrow_filter_asks_the_table(pair, scans):
    for n in (1, 5, 300):
        mask = np.arange(6_000) % 6_000 < n
        assert share_found(pair, grouped(20, seed=5), 10, mask) == 1
    assert not scans


def test_a_query_unlike_the_vectors_gets_a_longer_look(pair, scans):
    "The margin stands for any query; a width that was measured once would not."
    strange = unit_rows(np.random.default_rng(3).normal(size=(50, 256)).astype(np.float32))
    assert share_found(pair, strange, 10) >= 0.99
    assert max(scans) > min(scans)


def test_the_margin_is_that_of_the_sample(pair):
    index, _ = pair
    margin = index.margin
    assert margin.recall >= 0.999 and "recall@10" in repr(index) and not index.exact
    less = measure_margin(index._table, index._codes, recall=0.8)
    assert less.value < margin.value and less.recall < margin.recall
    assert first_width(less.widths, 10) < first_width(margin.widths, 10)


def test_without_structure_it_is_exact_and_says_so(monkeypatch):
    monkeypatch.setattr(quantized, "_LOOK", 50)  # the margin takes in more than it may
    noise = unit_rows(np.random.default_rng(0).normal(size=(3_000, 8)).astype(np.float32))
    index = QuantizedIndex(many=1).add(noise)
    assert index.exact and index.margin.value == np.inf and "codes tell too little" in repr(index)
    assert share_found((index, FaissIndex(False).add(noise)), noise[:30], 10) == 1


def test_equal_vectors_stand_in_the_order_of_rows(pair, monkeypatch):
    monkeypatch.setattr(quantized, "WIDEST", 1)
    x = grouped(2_000)
    x[[700, 5, 1_999]] = x[40]
    index = QuantizedIndex(many=1).add(x)
    assert index.search(x[40], 4)[0].tolist() == [[5, 40, 700, 1_999]]
    assert index.search(x[40], 2)[0].tolist() == [[5, 40]]
    same = QuantizedIndex(many=1).add(np.tile(x[:1], (500, 1)))
    assert same.search(x[0], 500)[1].tolist() == [[pytest.approx(1, abs=1e-5)] * 500]
    assert QuantizedIndex(many=1).add(np.zeros((500, 8))).search(np.ones(8), 9)[1].sum() == 0


def test_after_changes_it_finds_the_new_and_never_the_old():
    x = grouped(3_000)
    index, truth = QuantizedIndex(many=1).add(x[:2_000]), FaissIndex(False).add(x[:2_000])
    before = index._codes
    for change in (
        lambda i: i.add(x[2_000:2_300]),
        lambda i: i.replace(np.arange(0, 100), x[2_300:2_400]),
        lambda i: i.remove(np.arange(50, 150)),
    ):
        change(index)
        change(truth)
        np.testing.assert_array_equal(index.take(), truth.take())
        assert share_found((index, truth), x[::40], 10) >= 0.995
    assert index._codes is before  # nothing was made anew until here
    index.remove(np.arange(0, 700))
    assert index._codes is not before and index._codes.ntotal == len(index) == 1_500
    grown = index._codes
    index.add(x[2_200:])
    assert index._codes is not grown and index.search(x[2_900], 1)[1] > 0.999


def test_codes_come_with_the_size_and_go_with_it():
    index = QuantizedIndex(many=256_000).add(grouped(900))
    assert index.exact and index.margin is None
    assert not index.add(grouped(200, seed=2)).exact
    assert index.remove(np.arange(200)).exact and index.add(grouped(200)).margin is not None


def test_a_saved_one_keeps_its_codes_and_a_damaged_one_is_refused(pair, tmp_path):
    index, _ = pair
    index.save(tmp_path / "i")
    back = Index.load(tmp_path / "i")
    assert back.margin == index.margin and repr(back) == repr(index)
    for one, other in zip(index.search(grouped(9), 20), back.search(grouped(9), 20), strict=True):
        np.testing.assert_array_equal(one, other)
    files = {p.name: p.read_bytes() for p in (tmp_path / "i").glob("*.*") if p.is_file()}
    state = {"dtype": "float32", "recall": 0.999, "many": 1, "margin": [0.1, 1.0, [[1, 2]]]}
    for places, codes in (([0, 0], files["codes.faiss"]), ([0, 1], b"no")):
        with save_folder(tmp_path / "j", "QuantizedIndex", state=state | {"since": 0}) as folder:
            FaissIndex(False).add(grouped(2)).save(folder / "table")
            (folder / "codes.faiss").write_bytes(codes)
            np.save(folder / "places.npy", places)
        with pytest.raises(ValueError, match="is damaged"):
            Index.load(tmp_path / "j")


@pytest.mark.parametrize("recall", [0, 1.5, "high"])
def test_a_wrong_recall_is_refused(recall):
    with pytest.raises(ValueError, match="`recall` must be above 0 and at most 1"):
        QuantizedIndex(recall=recall)


def test_the_first_width_grows_with_k():
    widths = [first_width([(1, 30), (10, 90), (100, 300)], k) for k in (1, 5, 10, 50, 100, 200)]
    assert widths == sorted(widths) and widths[-1] == 600
    assert Margin(0.1, 1.0, ((1, 5),)).value == 0.1


def test_a_recommender_has_one_when_nothing_is_said():
    assert type(Recommender().index) is QuantizedIndex


def test_many_queries_together_are_exact():
    x = grouped(4_000)
    fast, exact = QuantizedIndex(many=1).add(x), FaissIndex(approximate=False).add(x)
    queries = grouped(TOGETHER)
    for one, other in zip(fast.search(queries, 7), exact.search(queries, 7), strict=True):
        assert (one == other).all()


@pytest.mark.parametrize("length", [0.1, 3.0])
def test_the_length_of_a_query_changes_neither_its_answer_nor_its_cost(pair, scans, length):
    queries = grouped(30, seed=7)
    usual = pair[0].search(queries, 10)[0]
    widths = scans[:]
    scans.clear()
    assert (pair[0].search(length * queries, 10)[0] == usual).mean() > 0.99
    assert scans == pytest.approx(widths, rel=0.1)


def uneven(n, dim=256):
    "Return vectors with most of their length in the first few numbers, as of an SVD."
    return unit_rows(grouped(n, dim) * np.float32(np.linspace(1, 0.02, dim) ** 4))


def test_vectors_of_uneven_numbers_are_rotated_first(monkeypatch):
    "One bit of each number says little where few numbers matter; a rotation makes them alike."
    x, margins = uneven(6_000), {}
    for most in (quantized.ROTATED, 0):
        monkeypatch.setattr(quantized, "ROTATED", most)
        margins[most] = QuantizedIndex(many=1).add(x).margin.value
    rotated, plain = margins.values()
    assert rotated < 0.6 * plain


def test_rotated_vectors_find_themselves_up_to_the_longest():
    "The scan sums in 16 bits: a sum that does not fit would hide the nearest."
    rng = np.random.default_rng(0)
    x = unit_rows(rng.normal(size=(2_000, quantized.ROTATED)).astype(np.float32) + 0.2)
    codes = quantized.make_codes(FaissIndex(approximate=False).add(x))
    assert quantized.are_codes(codes) and type(codes) is faiss.IndexPreTransform
    _, places = quantized.scan_codes(codes, x, 5)
    assert (places == np.arange(len(x))[:, None]).any(axis=1).all()
    long = np.pad(x[:64], ((0, 0), (0, 8)))
    codes = quantized.make_codes(FaissIndex(approximate=False).add(long))
    assert quantized.are_codes(codes) and type(codes) is faiss.IndexRaBitQFastScan


def test_codes_of_before_are_read_and_others_are_not(pair, tmp_path, monkeypatch):
    x = grouped(3_000)
    monkeypatch.setattr(quantized, "ROTATED", 0)  # as they were
    QuantizedIndex(many=1).add(x).save(tmp_path / "before")
    monkeypatch.undo()
    before = QuantizedIndex.load(tmp_path / "before")
    assert share_found((before, FaissIndex(False).add(x)), x[:50], 10) >= 0.99
    table = FaissIndex(approximate=False).add(x)
    others = [
        faiss.IndexFlatIP(256),
        faiss.IndexPreTransform(faiss.PCAMatrix(256, 256), table_of(x)),
    ]
    assert not any(quantized.are_codes(index) for index in others)
    assert quantized.are_codes(quantized.make_codes(table))


def table_of(x):
    index = faiss.IndexFlatIP(x.shape[1])
    index.add(x)
    return index
