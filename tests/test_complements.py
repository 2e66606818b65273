"""What goes with what, and what could replace it, in a shop where the right answer is known."""

import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prodrec import Catalog
from prodrec.recommend.complements import Complements
from prodrec.recommend.history import History

KINDS = ["phone", "case", "mug"]


def products(n=8):
    "Of each kind `n`, half of them red, half blue."
    rows = [(f"{kind}{i}", kind, f"{kind} {i}", float(i)) for kind in KINDS for i in range(n)]
    return Catalog(pd.DataFrame(rows, columns=["id", "category", "title", "price"]).set_index("id"))


def colours(catalog):
    return np.eye(2, dtype=np.float32)[[int(i[-1]) % 2 for i in catalog.ids]]


def shop(seed=0, n=120):
    """Telephones, then a case of the same colour; mugs alone; telephones are compared with each
    other.
    """
    rng, rows = np.random.default_rng(seed), []
    for u in range(n):
        day = pd.Timestamp("2024-01-01") + pd.Timedelta(days=int(rng.integers(300)))
        phone = int(rng.integers(8))
        case = int(rng.choice([c for c in range(8) if c % 2 == phone % 2]))
        for other in rng.permutation(8)[:2]:
            rows.append((f"u{u}", f"phone{other}", "view", day - pd.Timedelta(minutes=20)))
        rows += [
            (f"u{u}", f"phone{phone}", "purchase", day),
            (f"u{u}", f"case{case}", "purchase", day + pd.Timedelta(hours=2)),
        ]
        rows.append((f"u{u}", f"mug{rng.integers(8)}", "purchase", day + pd.Timedelta(days=40)))
    return History(pd.DataFrame(rows, columns=["user", "id", "event", "time"]))


@pytest.fixture(scope="module")
def model():
    catalog = products()
    return Complements().fit(shop(), catalog, colours(catalog))


def test_a_case_goes_with_a_telephone_and_not_the_other_way(model):
    assert (
        model.relation("phone0", "case0") == "complement"
        and model.relation("case0", "phone0") == ""
    )
    assert (
        model.relation("phone0", "phone1") == "substitute"
        and model.relation("case0", "case1") == "substitute"
    )
    assert model.relation("phone0", "mug0") == model.relation("mug0", "phone0") == ""
    hits = model.recommend("phone1", 4)
    assert sorted(hits.ids) == ["case1", "case3", "case5", "case7"]  # those of the same colour
    table = hits.to_frame()
    assert (
        set(table["relation"]) == {"complement"}
        and table["reason"].str.startswith("case with phone").all()
    )
    assert len(model.recommend("case0", 5)) == 0
    hits = model.recommend("phone1", 3, relation="substitute")
    assert sorted(hits.ids) == ["phone3", "phone5", "phone7"] and set(
        hits.to_frame()["relation"]
    ) == {"substitute"}


@settings(deadline=None, max_examples=15)
@given(
    st.sampled_from(["phone0", "case3", "mug1"]),
    st.integers(1, 12),
    st.sampled_from(["complement", "substitute"]),
    st.sampled_from([None, {"price": (0, 3)}, {"category": "case"}]),
)
def test_lists_hold_what_they_promise(model, id, k, relation, where):
    hits = model.recommend(id, k, relation=relation, where=where)
    products = model.catalog.products
    fits = {"price": products["price"] <= 3, "category": products["category"] == "case"}
    matching = {i for i in model.catalog.ids if model.relation(id, i) == relation}
    matching &= set(products.index if where is None else products.index[fits[next(iter(where))]])
    assert id not in hits.ids and set(hits.ids) <= matching and len(hits) == min(k, len(matching))
    assert (np.diff(hits.scores) <= 0).all() and np.isfinite(hits.scores).all()


def test_what_is_new_has_its_place_at_once(tmp_path):
    catalog = products()
    model = Complements().fit(shop(), catalog, colours(catalog))
    new = Catalog(
        pd.DataFrame(
            {"category": ["case", "case", "phone", "tent"]}, index=["even", "odd", "new1", "tent"]
        )
    )
    model.add(new, np.array([[1, 0], [0, 1], [0, 1], [1, 0]], np.float32))
    assert (
        model.relation("phone0", "even") == "complement" and model.relation("phone0", "tent") == ""
    )
    scores = dict(zip(model.catalog.ids, model.scores(["phone0"])[0], strict=True))
    assert scores["even"] > max(scores["odd"], scores["tent"])
    assert sorted(model.recommend("new1", 4).ids) == ["case1", "case3", "case5", "case7"]
    assert len(model.recommend("tent")) == 0 and len(catalog) == 24
    with pytest.raises(ValueError, match="even"):
        model.add(new, np.ones((4, 2)))
    with pytest.raises(ValueError, match=r"`vectors` must be \(n, 2\)"):
        model.add(Catalog(pd.DataFrame(index=["x"], data={"category": "case"})), np.ones((1, 3)))
    model.save(tmp_path / "model")
    assert (Complements.load(tmp_path / "model").scores(["new1"]) == model.scores(["new1"])).all()


def test_who_is_not_known_gets_what_is_popular(model):
    hits = model.recommend("unheard of", 3)
    assert (
        len(hits) == 3
        and set(hits.to_frame()["relation"]) == {""}
        and set(hits.to_frame()["reason"]) == {"popular"}
    )
    assert model.recommend("unheard of", where={"category": "mug"}).ids[0].startswith("mug")
    for where in ("category == 'mug'", lambda _: "category == 'mug'"):
        with pytest.raises(TypeError, match="text is never evaluated: give `where` as a dict"):
            model.recommend("phone0", where=where)
    mugs = model.catalog.products["category"] == "mug"
    assert all(i.startswith("mug") for i in model.recommend("unheard of", where=mugs).ids)
    assert model.relation("unheard of", "case0") == model.relation("case0", "unheard of") == ""
    assert model.relation("case0", "case0") == ""


def test_the_same_seed_is_the_same_model_and_saved_it_stays(model, tmp_path, monkeypatch):
    catalog = products()
    again = Complements().fit(shop(), catalog, colours(catalog))
    ids = ["phone0", "case3", "mug1"]
    assert (again.scores(ids) == model.scores(ids)).all() and again.weights_.equals(model.weights_)
    model.save(tmp_path / "model")
    monkeypatch.setitem(sys.modules, "implicit", None)
    loaded = Complements.load(tmp_path / "model")
    assert (loaded.scores(ids) == model.scores(ids)).all()
    for relation in ("complement", "substitute"):
        assert (
            loaded.recommend("phone0", relation=relation).ids
            == model.recommend("phone0", relation=relation).ids
        )
    assert not [f for f in (tmp_path / "model").rglob("*") if f.suffix in (".pkl", ".pickle")]
    (tmp_path / "model" / "kinds.json").write_text("[]", encoding="utf-8")
    with pytest.raises(ValueError, match="damaged"):
        Complements.load(tmp_path / "model")


def test_what_is_given_is_not_changed():
    catalog, history = products(), shop()
    vectors, events, table = colours(catalog), history.events.copy(), catalog.products.copy()
    model = Complements().fit(history, catalog, vectors)
    model.recommend("phone0")
    pd.testing.assert_frame_equal(history.events, events)
    pd.testing.assert_frame_equal(catalog.products, table)
    assert (vectors == colours(catalog)).all()


def test_histories_without_times_or_views_and_missing_kinds():
    table = shop().events
    table = table[table["event"] == "purchase"]
    catalog = products()
    catalog.products["category"] = catalog.products["category"].where(
        catalog.products.index != "case0"
    )
    untimed = History(table.drop(columns="time")[~table["id"].str.startswith("mug")])
    model = Complements().fit(untimed, catalog, colours(catalog))
    assert (
        model.relation("phone0", "case1") == model.relation("case1", "phone0") == "complement"
    )  # no order, no direction
    assert model.relation("phone0", "phone1") == "substitute"
    assert model.relation("case0", "phone1") != "substitute"  # of no kind


@pytest.mark.parametrize(
    "change, message",
    [
        (dict(target="colour"), "`target` names column 'colour'"),
        (dict(bought="cart"), "no basket of `history` holds two products"),
        (dict(within="1min"), "no basket of `history` holds two products"),
    ],
)
def test_what_cannot_be_learned_is_said(change, message):
    catalog = products()
    with pytest.raises(ValueError, match=message):
        Complements(**change).fit(shop(), catalog, colours(catalog))


def test_wrong_arguments_are_named(model):
    catalog = products()
    with pytest.raises(ValueError, match="call `fit` or `load` first"):
        Complements().recommend("a")
    with pytest.raises(ValueError, match="`relation` must be"):
        model.recommend("phone0", relation="like")
    with pytest.raises(ValueError, match="`k` must be a positive integer"):
        model.recommend("phone0", 0)
    with pytest.raises(ValueError, match="`vectors` must be finite"):
        Complements().fit(shop(), catalog, np.full((24, 2), np.nan))
    with pytest.raises(ValueError, match="10 are needed"):
        Complements().fit(shop(n=12), catalog, colours(catalog))


def test_the_names_of_the_first_version_work_and_warn(model):
    with pytest.warns(DeprecationWarning, match="`by` is now `target`"):
        assert Complements(by="colour").target == "colour"
    with pytest.warns(DeprecationWarning, match="'instead of' is now 'substitute'"):
        old = model.recommend("phone1", 3, relation="instead of")
    assert old.ids == model.recommend("phone1", 3, relation="substitute").ids


def test_a_folder_of_the_first_version_loads(model, tmp_path):
    import json

    model.save(tmp_path / "m")
    manifest = json.loads((tmp_path / "m" / "manifest.json").read_text(encoding="utf-8"))
    state = manifest["meta"].pop("state")
    manifest["meta"] = {"by": state.pop("target"), **state}  # as it was written then
    del manifest["format"]
    (tmp_path / "m" / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    again = Complements.load(tmp_path / "m")
    assert again.target == "category" and (again.scores(["mug1"]) == model.scores(["mug1"])).all()


def test_it_can_be_fitted_again_to_another_catalogue():
    catalog = products()
    model = Complements().fit(shop(), catalog, colours(catalog))
    other = Catalog(catalog.products.assign(category=catalog.products["category"] + "s"))
    model.fit(shop(), other, colours(other))
    assert model.kinds_.index.tolist() == ["cases", "mugs", "phones"]
    assert model.relation("phone0", "case0") == "complement"


def test_it_shows_the_kinds_that_are_related(model):
    assert "target='brand', not fitted: call `fit`" in repr(Complements("brand"))
    assert "24 products of 3 kinds in 'category'" in repr(model)
    assert "case ×" in model._repr_html_() and "<table" in model._repr_html_()
    ax = model.figure("phone0", k=2)
    assert "phone 0" in ax.figure.get_suptitle()
