"""Properties that every split keeps, whatever the catalogue."""

import hashlib
import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prodrec.data.catalog import Catalog
from prodrec.data.split import (
    _blocks,
    _cuts,
    _place,
    _side,
    classes_of,
    encode_labels,
    group_codes,
    has_official_sides,
    id_chance,
    leaks,
    official_sides,
    split,
    split_by_time,
    split_by_value,
    unseen,
)


@st.composite
def catalogs(draw, max_groups=60):
    "A catalogue with a category and a family for each product; some families are large."
    sizes = draw(st.lists(st.sampled_from([1, 1, 1, 1, 2, 3, 5]), min_size=3, max_size=max_groups))
    labels = draw(st.lists(st.sampled_from("abcde"), min_size=sum(sizes), max_size=sum(sizes)))
    family = [f"f{i}" for i, n in enumerate(sizes) for _ in range(n)]
    ids = [f"{i:04d}" for i in range(len(family))]
    return Catalog(pd.DataFrame({"category": labels, "family": family}, index=ids))


@st.composite
def singles(draw):
    labels = draw(st.lists(st.sampled_from("abcdefgh"), min_size=20, max_size=200))
    return Catalog(pd.DataFrame({"category": labels}, index=[f"p{i}" for i in range(len(labels))]))


def split_or_none(catalog, **options):
    "The split, or None where it is refused with a reason."
    try:
        return split(catalog, **options)
    except ValueError as e:
        assert "empty" in str(e) or "rare classes" in str(e) or "too small" in str(e)
        return None


@settings(deadline=None, max_examples=60)
@given(catalogs(), st.integers(0, 5), st.sampled_from(["train", "drop"]))
def test_no_group_is_torn_and_nobody_is_lost(catalog, seed, rare):
    parts = split_or_none(catalog, groups="family", seed=seed, rare=rare)
    if parts is None:
        return
    side = pd.Series({i: name for name, p in parts.items() for i in p.ids})
    assert len(side) == sum(map(len, parts.values()))
    assert (side.groupby(catalog.products["family"].reindex(side.index)).nunique() == 1).all()
    if rare == "train":
        assert set(side.index) == set(catalog.ids)
    assert all(p.ids == [i for i in catalog.ids if i in set(p.ids)] for p in parts.values())


@settings(deadline=None, max_examples=60)
@given(singles(), st.integers(0, 5))
def test_sizes_are_exact_and_classes_in_proportion(catalog, seed):
    sizes = {"train": 0.7, "validation": 0.2, "test": 0.1}
    parts = split_or_none(catalog, groups=None, seed=seed)
    if parts is None:
        return
    n, labels = len(catalog), catalog.products["category"]
    for name, share in sizes.items():
        assert abs(len(parts[name]) - share * n) < 1
    counts = labels.value_counts()
    common = counts.index[counts >= 3]
    # the few that stand in rare classes are all in train, so the others share what is left
    left = np.array([len(parts[name]) for name in sizes]) - [counts[counts < 3].sum(), 0, 0]
    for label in common:
        got = np.array([(p.products["category"] == label).sum() for p in parts.values()])
        assert (np.abs(got - counts[label] * left / left.sum()) < 1 + 1e-9).all()


@settings(deadline=None, max_examples=40)
@given(catalogs(), st.integers(0, 5), st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(catalog, seed, random):
    order = catalog.ids
    random.shuffle(order)
    parts = [split_or_none(c, groups="family", seed=seed) for c in (catalog, catalog[order])]
    assert (parts[0] is None) == (parts[1] is None)
    if parts[0]:
        assert {n: set(p.ids) for n, p in parts[0].items()} == {
            n: set(p.ids) for n, p in parts[1].items()
        }


@settings(deadline=None, max_examples=40)
@given(singles(), st.data())
def test_counts_come_out_exactly(catalog, data):
    n = len(catalog)
    train = data.draw(st.integers(1, n - 2))
    test = data.draw(st.integers(1, n - train))
    parts = split(catalog, target=None, sizes=(train, test), groups=None)
    assert [len(p) for p in parts.values()] == [train, test]


def test_the_published_sizes():
    rng = np.random.default_rng(0)
    labels = rng.choice(
        [f"c{i}" for i in range(40)], 7_656, p=np.random.default_rng(1).dirichlet(np.ones(40))
    )
    catalog = Catalog(pd.DataFrame({"category": labels}, index=[str(i) for i in range(7_656)]))
    parts = split(catalog, sizes=(5_511, 613, 1_532), groups=None)
    assert [len(p) for p in parts.values()] == [5_511, 613, 1_532]


def test_groups_spread_over_all_parts():
    "Families are not all put into the largest part."
    family = np.repeat(np.arange(300), 2)
    catalog = Catalog(
        pd.DataFrame({"category": "x", "family": family}, index=[str(i) for i in range(600)])
    )
    parts = split(catalog, groups="family")
    assert [len(p) for p in parts.values()] == [420, 120, 60]


def test_a_group_larger_than_the_training_part_still_stays_whole():
    family = ["big"] * 8 + ["a", "b", "c", "d"]
    catalog = Catalog(pd.DataFrame({"family": family}, index=[str(i) for i in range(12)]))
    parts = split(catalog, target=None, sizes=(0.5, 0.5), groups="family")
    assert sorted(len(p) for p in parts.values()) == [4, 8]


def test_rare_classes():
    labels = ["a"] * 20 + ["b"] * 2 + ["c"]
    catalog = Catalog(pd.DataFrame({"category": labels}, index=[str(i) for i in range(23)]))
    parts = split(catalog, groups=None)
    assert set(parts["train"].products["category"]) == {"a", "b", "c"}
    assert (
        set(parts["validation"].products["category"])
        == set(parts["test"].products["category"])
        == {"a"}
    )
    dropped = split(catalog, groups=None, rare="drop")
    assert sum(map(len, dropped.values())) == 20
    with pytest.raises(
        ValueError, match="2 classes of 'category' have fewer than 3 groups: 'b', 'c'"
    ):
        split(catalog, groups=None, rare="error")


def test_missing_labels_and_missing_groups():
    labels = ["a", None] * 30
    catalog = Catalog(
        pd.DataFrame({"category": labels, "family": [None] * 60}, index=[str(i) for i in range(60)])
    )
    parts = split(catalog, groups="family")
    assert [len(p) for p in parts.values()] == [42, 12, 6]
    assert [int(p.products["category"].isna().sum()) for p in parts.values()] == [21, 6, 3]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"sizes": (0.5, 0.2)}, "add up to 0.7"),
        ({"sizes": (0.5, 0.5, 0.0)}, "above zero"),
        ({"sizes": (0.4, 0.3, 0.2, 0.1)}, "a dict name -> size"),
        ({"sizes": (50, 20)}, "ask for 70 products, there are 30"),
        ({"target": "colour"}, "`target` names 'colour'"),
        ({"groups": "colour"}, "`groups` names 'colour'"),
        ({"rare": "keep"}, '`rare` must be "train", "drop" or "error"'),
        ({"sizes": (0.98, 0.01, 0.01)}, "leave 'validation' empty|leave 'test' empty"),
    ],
)
def test_what_cannot_be_is_refused_in_words(options, words):
    catalog = Catalog(
        pd.DataFrame({"category": ["a", "b", "c"] * 10}, index=[str(i) for i in range(30)])
    )
    with pytest.raises(ValueError, match=words):
        split(catalog, **{"groups": None, **options})


def test_one_product_and_no_category():
    one = Catalog(pd.DataFrame({"category": ["a"]}, index=["1"]))
    with pytest.raises(ValueError, match="empty"):
        split(one)
    plain = Catalog(pd.DataFrame({"title": list("abcdefghij")}, index=list("abcdefghij")))
    with pytest.raises(ValueError, match="`target` names 'category'"):
        split(plain)
    assert [len(p) for p in split(plain, target=None).values()] == [7, 2, 1]


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(2000, 2012), min_size=6, max_size=80))
def test_years_are_never_separated(years):
    catalog = Catalog(pd.DataFrame({"year": years}, index=[str(i) for i in range(len(years))]))
    if len(set(years)) < 3:
        with pytest.raises(ValueError, match="too few for 3 parts"):
            split_by_time(catalog, "year", groups=None)
        return
    parts = split_by_time(catalog, "year", groups=None)
    spans = [(p.products["year"].min(), p.products["year"].max()) for p in parts.values()]
    assert spans[0][1] < spans[1][0] and spans[1][1] < spans[2][0]
    assert sum(map(len, parts.values())) == len(catalog)


def test_time_as_text_and_missing_times():
    years = ["2011", "2012", "", "2013", "9"]
    catalog = Catalog(pd.DataFrame({"year": years}, index=list("abcde")))
    parts = split_by_time(catalog, "year", sizes=(0.5, 0.5), groups=None)
    assert parts["train"].ids == ["a", "e"] and parts["test"].ids == ["b", "d"]


def test_a_group_stays_in_the_past():
    frame = pd.DataFrame(
        {"year": [1, 1, 2, 2, 3, 3], "family": ["x", "y", "x", "z", "y", "v"]}, index=list("abcdef")
    )
    parts = split_by_time(Catalog(frame), "year", groups="family")
    assert {n: p.ids for n, p in parts.items()} == {
        "train": ["a", "b"],
        "validation": ["d"],
        "test": ["f"],
    }
    given_parts = split_by_value(
        Catalog(frame), "year", {"test": [3], "train": [1]}, groups="family"
    )
    assert {n: p.ids for n, p in given_parts.items()} == {"test": ["e", "f"], "train": ["a"]}


def test_leaks_names_every_kind():
    def shop(ids, titles):
        return Catalog(pd.DataFrame({"title": titles}, index=ids))

    found = leaks(
        shop(["1", "2", "3"], ["Mug", "MUG!", ""]), shop(["2", "9", "8"], ["other", "mug", ""])
    )
    assert found.to_dict("records") == [
        {"id_a": "2", "id_b": "2", "reason": "same id", "count": 1},
        {"id_a": "1", "id_b": "9", "reason": "same title", "count": 2},
    ]
    assert leaks(shop(["1"], ["a"]), shop(["2"], ["b"])).empty


@given(st.lists(st.one_of(st.none(), st.text(max_size=5)), min_size=1, max_size=30))
def test_labels_come_back(labels):
    labels = pd.Series(labels, dtype=object)
    classes = classes_of(labels)
    codes = encode_labels(labels, classes)
    assert codes.dtype == np.int32
    assert [None if c < 0 else classes[c] for c in codes] == labels.where(
        labels.notna(), None
    ).tolist()


def test_titles_stay_on_one_side():
    titles = [f"title {i // 2}" for i in range(60)]
    catalog = Catalog(
        pd.DataFrame({"title": titles, "family": np.arange(60) // 3}, index=map(str, range(60)))
    )
    for groups in (None, "duplicates", "family"):
        parts = split(catalog, None, groups=groups, titles=True)
        side = pd.Series({i: name for name, part in parts.items() for i in part.ids})
        assert (side.groupby(catalog.products["title"]).nunique() == 1).all()
        if groups == "family":
            assert (side.groupby(catalog.products["family"]).nunique() == 1).all()
    apart = split(catalog, None, groups=None)
    assert "same title" in set(leaks(apart["train"], apart["test"])["reason"])


def test_sides_say_what_they_hold():
    catalog = Catalog(pd.DataFrame({"category": ["a", "b"] * 15}, index=map(str, range(30))))
    parts = split(catalog, groups=None)
    assert isinstance(parts, dict) and list(parts) == ["train", "validation", "test"]
    assert repr(parts).startswith("Sides(train 21 products of 2 classes; ")
    assert parts.to_frame()["products"].tolist() == [21, 6, 3]
    assert "<table" in parts._repr_html_() and "70.0%" in parts._repr_html_()
    assert "classes" not in repr(split(catalog, None, groups=None))
    again = pickle.loads(pickle.dumps(parts))
    assert again.target == "category" and repr(again) == repr(parts)


def test_the_former_name_of_the_target_warns():
    catalog = Catalog(pd.DataFrame({"brand": ["a", "b"] * 15}, index=map(str, range(30))))
    with pytest.warns(DeprecationWarning, match="`by` is now `target`"):
        parts = split(catalog, by="brand", groups=None)
    assert parts.target == "brand"


def test_unseen_products_are_new_in_every_way():
    known = Catalog(pd.DataFrame({"title": ["Mug", "Cap"]}, index=["1", "2"]))
    new = Catalog(pd.DataFrame({"title": ["mug!", "Lamp", "Hat"]}, index=["7", "2", "9"]))
    assert unseen(new, known).ids == ["7", "9"]
    assert unseen(new, known, titles=True).ids == ["9"]
    with pytest.raises(ValueError, match="holds nothing new: all 2 products are known"):
        unseen(known, known)


def test_chance_is_even_and_the_same_everywhere():
    found = id_chance([f"p{n}" for n in range(2_000)], 0)
    assert 0 <= found.min() and found.max() < 1 and abs(found.mean() - 0.5) < 0.02
    assert np.abs(np.histogram(found, 4, (0, 1))[0] - 500).max() < 80
    digest = hashlib.blake2b(b"7:red", digest_size=6).hexdigest()
    assert id_chance(["red"], 7)[0] == int(digest, 16) / 2**48


GOLDEN = {"train": [0, 2, 3, 4, 5, 6, 9], "validation": [7, 8], "test": [1]}


def test_the_split_of_a_version_is_that_of_the_next():
    "Ids of the test side, once written down: another would mix models trained before and after."
    family = pd.Series([n // 3 for n in range(30)], [f"p{n}" for n in range(30)])
    catalog = Catalog(pd.DataFrame({"category": ["a", "b"] * 15, "family": family.to_numpy()},
                                   index=family.index))  # fmt: skip
    sides = split(catalog, groups="family", seed=1)
    assert {n: sorted(s.products["family"].unique().tolist()) for n, s in sides.items()} == GOLDEN


def test_an_official_split_is_taken_as_it_is():
    table = pd.DataFrame({"category": list("abab") * 10, "title": "same"})
    table["side"] = ["Training", "Training", "TEST", " val "] * 10
    sides = official_sides(Catalog(table.set_axis(map(str, range(40)))))
    assert {name: len(side) for name, side in sides.items()} == {
        "train": 20,
        "validation": 10,
        "test": 10,
    }
    assert set(sides["test"].products["side"]) == {"TEST"}  # though all titles are the same
    two = table.assign(side=["train", "train", "test", "train"] * 10, title=range(40))
    drawn = official_sides(Catalog(two.astype({"title": str}).set_axis(map(str, range(40)))))
    assert {name: len(side) for name, side in drawn.items()} == {
        "train": 27,
        "validation": 3,
        "test": 10,
    }
    only = Catalog(table.assign(side="train").set_axis(map(str, range(40))))
    assert not has_official_sides(only)
    with pytest.raises(ValueError, match="'side' lacks train or test"):
        official_sides(only)


def test_a_part_is_drawn_in_proportion_to_what_it_needs():
    need, left = np.array([30, 10, 0]), np.array([40, 40, 40])
    drawn = [_side(need, left, 1, chance) for chance in (0.0, 0.74, 0.76, 0.999)]
    assert drawn == [0, 0, 1, 1]
    assert _side(need, np.array([0, 40, 40]), 1, 0.1) == 1  # the first part is full
    assert _side(np.array([1, 3, 2]), left, 5, 0.0) == 1  # nobody needs five: the neediest
    assert _side(np.array([1, 1]), np.array([2, 4]), 5, 0.0) == 1  # no room at all: the roomiest


def test_titles_join_groups_only_where_that_is_asked_for():
    table = pd.DataFrame({"title": ["red mug", "red mug", "lamp"]}, ["a", "b", "c"])
    apart, joined = (group_codes(Catalog(table), None, *more) for more in ((), (True,)))
    assert len(set(apart)) == 3 and joined[0] == joined[1] != joined[2]


def test_a_group_that_just_fits_has_room():
    need = np.array([2.0, 3.0])
    assert _side(need, np.array([2, 3]), 2, 0.1) == 0 and _side(need, np.array([2, 3]), 2, 0.9) == 1
    assert _side(np.array([1.9, 3.0]), np.array([2, 3]), 2, 0.1) == 1


def test_pairs_alone_come_out_exactly():
    table = pd.DataFrame({"category": ["a"] * 40, "g": np.repeat(np.arange(20), 2).astype(str)})
    sides = split(Catalog(table), sizes={"one": 20, "two": 20}, groups="g")
    assert [len(side) for side in sides.values()] == [20, 20]
    assert not set(sides["one"].products["g"]) & set(sides["two"].products["g"])


def test_every_part_of_the_years_has_a_time_of_its_own():
    assert _cuts(np.array([90, 95, 100]), np.array([0.1, 0.1, 0.8])) == [0, 1]
    assert _cuts(np.array([10, 50, 100]), np.array([0.5, 0.5])) == [1]


def test_the_validation_of_an_official_split_is_drawn_with_seed_zero():
    sides = pd.DataFrame({"side": ["train"] * 40 + ["test"] * 4})
    made = Catalog(sides.assign(category="c", title="t"))
    ids = official_sides(made)["validation"].ids
    assert ids == official_sides(made, seed=0)["validation"].ids
    assert ids != official_sides(made, seed=1)["validation"].ids


def test_equal_titles_are_parted_unless_that_is_asked_for():
    titles = ["mug", "cap", "mug", "hat"]
    table = pd.DataFrame({"title": titles, "year": [2001, 2002, 2003, 2004]}, list("abcd"))
    made = Catalog(table.assign(category="c"))

    def kept(*args, **options) -> int:
        return sum(len(side) for side in split_by_time(made, "year", *args, **options).values())

    assert kept((0.5, 0.5), None) == 4 and kept((0.5, 0.5), None, titles=True) == 3
    parts = {"old": [2001, 2002], "new": [2003, 2004]}
    sides = split_by_value(made, "year", parts, groups=None)
    assert [len(side) for side in sides.values()] == [2, 2]
    assert len(split(made, sizes=(0.5, 0.5), groups=None)["train"]) == 2


def test_large_groups_are_placed_before_small_ones():
    blocks = pd.DataFrame({"label": 0, "n": [2, 3], "chance": [0.1, 0.9], "first": False})
    assert _place(blocks, np.array([3, 2])).tolist() == [1, 0]


def test_products_without_a_date_are_left_out():
    days = pd.to_datetime(["2024-01-01", None, "2024-02-01", "2024-03-01"])
    made = Catalog(pd.DataFrame({"day": days}, list("abcd")))
    parts = split_by_time(made, "day", sizes=(0.5, 0.5), groups=None)
    assert sum((side.ids for side in parts.values()), []) == ["a", "c", "d"]


def test_parts_that_a_function_names_begin_with_train():
    made = Catalog(pd.DataFrame({"year": [1, 2, 3]}, list("abc")))
    names = {1: "before", 2: "train", 3: "after"}
    assert list(split_by_value(made, "year", names.get, groups=None)) == [
        "train",
        "after",
        "before",
    ]
    with pytest.raises(ValueError, match="'new' names no value of 'year'"):
        split_by_value(made, "year", {"old": [1, 2, 3], "new": [9]}, groups=None)


def test_a_column_of_sides_is_looked_for_and_its_names_are_checked():
    made = Catalog(pd.DataFrame({"side": ["train", "tset", "test"]}, list("abc")))
    assert not has_official_sides(made, "part")
    with pytest.raises(ValueError, match="holds 'tset': expected train"):
        official_sides(made)


def test_rare_classes_that_do_not_fit_are_told():
    labels = ["a"] * 4 + ["b", "c", "d", "e"]
    made = Catalog(pd.DataFrame({"category": labels}, list("abcdefgh")))
    told = "4 products stand in rare classes and 'one' has room for 2"
    with pytest.raises(ValueError, match=told):
        split(made, sizes={"one": 2, "two": 6}, groups=None)
    full = split(made, sizes={"one": 4, "two": 4}, groups=None)
    assert set(full["two"].products["category"]) == {"a"}


def test_a_group_has_the_label_of_most_and_of_equals_the_first():
    facts = {"group": [0, 0, 1, 1, 1, 2], "label": ["b", "a", "b", "a", "b", "a"]}
    table = pd.DataFrame(facts).assign(chance=[0.1, 0.2, 0.4, 0.3, 0.5, 0.6], first=False)
    blocks = _blocks(table)
    assert blocks["label"].to_dict() == {0: 0, 1: 1, 2: 0}
    assert blocks["chance"].to_dict() == {0: 0.1, 1: 0.3, 2: 0.6}
