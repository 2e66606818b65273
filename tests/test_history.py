"""What holds for every history and every method of learning from it, whatever the events."""

import json
import os
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix
from sklearn.linear_model import Ridge

from prodrec.recommend.history import (
    METHODS,
    Collaborative,
    History,
    _fold_in,
    _top,
    apply_map,
    blend,
    blend_weights,
    content_map,
    content_scores,
    ground_truth,
    leave_last_out,
    rank_scores,
    split_by_time,
    split_pairs,
)
from prodrec.recommend.metrics import evaluate_ranking

KINDS = ["view", "purchase", "dislike"]
PERSONAL = [m for m in METHODS if m != "popularity"]


@st.composite
def events(draw, max_events=30):
    "Few users and products, so that pairs repeat; all kinds of events, on a few days."
    n = draw(st.integers(1, max_events))
    user = draw(st.lists(st.integers(0, 6), min_size=n, max_size=n))
    product = draw(st.lists(st.integers(0, 8), min_size=n, max_size=n))
    return pd.DataFrame(
        {
            "user": [f"{u:03d}" for u in user],
            "id": [f"{p:04d}" for p in product],
            "event": draw(st.lists(st.sampled_from(KINDS), min_size=n, max_size=n)),
            "value": draw(st.lists(st.integers(0, 3), min_size=n, max_size=n)),
            "time": pd.Timestamp("2024-01-01")
            + pd.to_timedelta(draw(st.lists(st.integers(0, 5), min_size=n, max_size=n)), unit="D"),
        }
    )


def checkerboard(n=20, hole=True):
    "Users like the products of their own colour; each misses the one on the diagonal."
    rows = [
        (f"{u:02d}", f"p{p:02d}")
        for u in range(n)
        for p in range(n)
        if u % 2 == p % 2 and not (hole and u == p)
    ]
    return History(pd.DataFrame(rows, columns=["user", "id"]))


# -- the table


@settings(deadline=None)
@given(events())
def test_the_matrix_adds_up_what_happened(table):
    weights = {"view": 0.25, "purchase": 1.0, "dislike": 0.0}
    history, expected = History(table), {}
    for user, product, event, value, _ in table.itertuples(index=False):
        expected[user, product] = expected.get((user, product), 0) + weights[event] * value
    dense = pd.DataFrame(history.matrix().toarray(), history.users, history.ids)
    assert {(u, p): dense.loc[u, p] for u in dense.index for p in dense if dense.loc[u, p]} == {
        pair: worth for pair, worth in expected.items() if worth
    }
    assert (history.matrix().data > 0).all()
    counts = {p: sum(w > 0 for (_, i), w in expected.items() if i == p) for p in history.ids}
    assert history.popularity().to_dict() == counts
    assert history.popularity().is_monotonic_decreasing
    assert history.events["time"].is_monotonic_increasing and len(history) == len(table)
    for again in (History(history.events), History(History(table.drop(columns="time")).events)):
        assert (again.matrix() != history.matrix()).nnz == 0


def test_rows_and_columns_can_be_chosen():
    history = History(pd.DataFrame({"user": ["a", "a", "b"], "id": ["x", "y", "x"]}))
    assert history.matrix(["b", "nobody", "a"], ["y", "x"]).toarray().tolist() == [
        [0, 1],
        [0, 0],
        [1, 1],
    ]
    with pytest.raises(ValueError, match="`users` names one of them twice"):
        history.matrix(["a", "a"])


def test_a_csv_keeps_leading_zeros(tmp_path):
    path = tmp_path / "sales.csv"
    path.write_text("when;who;what\n2024-05-02;007;0010\n2024-05-01;7;010\n", encoding="utf-8")
    history = History.from_csv(path, user="who", id="what", time="when", read={"sep": ";"})
    assert history.events[["user", "id", "event", "value"]].values.tolist() == [
        ["7", "010", "purchase", 1.0],
        ["007", "0010", "purchase", 1.0],
    ]


def test_numbers_and_zones_become_text_and_utc():
    history = History(
        pd.DataFrame({"user": [12], "id": [3], "time": ["2024-05-01T01:00:00+02:00"]})
    )
    assert history.users == ["12"] and history.ids == ["3"]
    assert history.events["time"][0] == pd.Timestamp("2024-04-30T23:00:00")


def test_ratings_count_by_their_stars():
    table = pd.DataFrame({"user": list("abc"), "id": "x", "event": "rating", "value": [1, 3, 5]})
    assert History(table).matrix().toarray().ravel().tolist() == [0, 0.5, 1.5]
    assert History(table, weights={"rating": 2}).matrix().toarray().ravel().tolist() == [0, 2, 6]


GOOD = {
    "user": ["a", "b"],
    "id": ["x", "y"],
    "event": ["view", "purchase"],
    "value": [1, 2],
    "time": ["2024-01-01"] * 2,
}


@pytest.mark.parametrize(
    "change, message",
    [
        ({"user": [None, "b"]}, "`user` is missing in 1 of 2 rows"),
        ({"id": ["x", " "]}, "`id` is missing in 1 of 2 rows"),
        ({"id": [1.0, 2.0]}, "`id` holds floats"),
        ({"event": ["view", "stolen"]}, "e.g. 'stolen'; known are view, .*weights="),
        ({"event": ["view", None]}, "`event` holds 1 values"),
        ({"value": [1, -1]}, "`value` must be a number of 0 or more, found -1"),
        ({"value": [1, None]}, "`value` must be a number"),
        ({"value": [1, np.inf]}, "`value` must be a number"),
        ({"value": ["1", "many"]}, "found 'many'"),
        ({"time": ["2024-01-01", "soon"]}, "`time` cannot be read in 1 of 2 rows, e.g. 'soon'"),
        ({"time": ["2024-01-01", None]}, "`time` cannot be read in 1 of 2 rows"),
        ({"time": [1704067200, 1704067201]}, "`time` holds numbers.*unit='s'"),
        ({"user": None}, "no column 'user'; it has id, event, value, time"),
        ({"id": None}, "no column 'id'"),
        ({"event": ["view", "rating"], "value": None}, "`value` is needed where there are ratings"),
    ],
)
def test_what_cannot_be_right_is_named(change, message):
    table = {name: values for name, values in (GOOD | change).items() if values is not None}
    with pytest.raises(ValueError, match=message):
        History(pd.DataFrame(table))


def test_tables_that_are_none_are_refused(tmp_path):
    with pytest.raises(ValueError, match="no rows"):
        History(pd.DataFrame(GOOD)[:0])
    with pytest.raises(TypeError, match="DataFrame, received list"):
        History([("a", "x")])
    with pytest.raises(ValueError, match="`user` names column 'who'.*it has user, id"):
        History.from_frame(pd.DataFrame(GOOD), user="who")
    with pytest.raises(TypeError, match="`price` is no column of a history"):
        History.from_frame(pd.DataFrame(GOOD), price="value")
    with pytest.raises(ValueError, match="`weights` must be numbers of 0 or more"):
        History(pd.DataFrame(GOOD), weights={"view": -1})
    with pytest.raises(ValueError, match="'sold'"):
        History(pd.DataFrame(GOOD)).only("sold")
    (tmp_path / "empty.csv").touch()
    with pytest.raises(ValueError, match="no CSV table"):
        History.from_csv(tmp_path / "empty.csv")


# -- splits


def rows(*histories):
    return sorted(row for h in histories for row in h.events.itertuples(index=False, name=None))


@settings(deadline=None)
@given(events(), st.floats(0.05, 0.95))
def test_a_split_by_time_has_one_cut(table, share):
    history = History(table)
    if table["time"].nunique() == 1:
        with pytest.raises(ValueError, match="same time"):
            split_by_time(history, share)
        return
    train, test = split_by_time(history, share)
    assert train.events["time"].max() < test.events["time"].min()
    assert rows(train, test) == rows(history)


@settings(deadline=None)
@given(events(), st.integers(0, 3))
def test_a_pair_is_on_one_side(table, seed):
    history = History(table)
    pairs = lambda h: set(zip(h.events["user"], h.events["id"], strict=True))  # noqa: E731
    n = round(0.3 * len(pairs(history)))
    if not 0 < n < len(pairs(history)):
        return
    train, test = split_pairs(history, 0.3, seed)
    assert len(pairs(test)) == n and not pairs(train) & pairs(test)
    assert rows(train, test) == rows(history)
    again = split_pairs(History(table.sample(frac=1, random_state=1)), 0.3, seed)[1]
    assert pairs(again) == pairs(test)


def test_the_last_product_goes_with_all_its_events_and_a_warning():
    table = pd.DataFrame(
        [
            ("a", "x", "view", 1),
            ("a", "y", "purchase", 2),
            ("a", "x", "purchase", 3),
            ("b", "z", "purchase", 9),
        ],
        columns=["user", "id", "event", "day"],
    )
    table["time"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(table.pop("day"), unit="D")
    with pytest.warns(UserWarning, match="50% of the training events are later.*split_by_time"):
        train, test = leave_last_out(History(table))
    assert train.events["id"].tolist() == ["y", "z"]
    assert test.events["id"].tolist() == ["x", "x"]


def test_what_has_no_time_is_not_split_by_it():
    history = History(pd.DataFrame({"user": ["a", "b"], "id": ["x", "y"]}))
    with pytest.raises(ValueError, match="no times"):
        split_by_time(history)
    dated = History(pd.DataFrame(GOOD))
    with pytest.raises(ValueError, match="one side empty"):
        split_by_time(dated, cut="2030-01-01")


def test_right_answers_are_new_products_of_known_users():
    train = History(pd.DataFrame({"user": ["a", "b"], "id": ["x", "x"]}))
    test = History(pd.DataFrame({"user": ["a", "a", "b", "c"], "id": ["x", "y", "x", "x"]}))
    assert ground_truth(train, test).to_dict() == {"a": ["y"]}
    assert ground_truth(train, test, new=False).to_dict() == {"a": ["x", "y"], "b": ["x"]}
    assert ground_truth(train, test, known=False).to_dict() == {"a": ["y"], "c": ["x"]}


# -- every method


@settings(deadline=None, max_examples=100)
@given(
    st.lists(st.lists(st.integers(-2, 2), min_size=6, max_size=6), min_size=1, max_size=5),
    st.integers(1, 6),
)
def test_the_best_are_those_of_a_sort(scores, k):
    scores = np.array(scores, np.float32)
    columns, best = _top(scores, k)
    assert columns.tolist() == np.argsort(-scores, axis=1, kind="stable")[:, :k].tolist()
    assert best.tolist() == np.take_along_axis(scores, columns, 1).tolist()


@settings(deadline=None, max_examples=40)
@given(events(), st.sampled_from(METHODS), st.integers(1, 12), st.booleans(), st.data())
def test_lists_hold_what_they_promise(table, method, k, exclude_seen, data):
    history = History(table)
    if not history.matrix().nnz:
        with pytest.raises(ValueError, match="nothing to learn from"):
            Collaborative(method).fit(history)
        return
    model = Collaborative(method, factors=3).fit(history)
    allowed = data.draw(st.sets(st.sampled_from(model.ids)))
    where = data.draw(st.sampled_from([None, sorted(allowed), [i in allowed for i in model.ids]]))
    users = [*model.users, "nobody"]
    many, many_scores = model.recommend(
        users, k, exclude_seen=exclude_seen, where=where, batch_size=2
    )
    for row, user in enumerate(users):
        ids, scores = model.recommend(user, k, exclude_seen=exclude_seen, where=where)
        seen = set(table["id"][table["user"] == user]) if exclude_seen else set()
        matching = (set(model.ids) if where is None else allowed) - seen
        assert len(ids) == len(set(ids)) == min(k, len(matching)) and set(ids) <= matching
        assert np.isfinite(scores).all() and (np.diff(scores) <= 0).all()
        assert len(many[row]) == min(k, len(model.ids if where is None else allowed))
        assert many[row][: len(ids)].tolist() == ids.tolist() and all(
            i is None for i in many[row][len(ids) :]
        )
        np.testing.assert_allclose(many_scores[row][: len(ids)], scores, rtol=1e-5, atol=1e-6)
    alike, _ = model.similar(model.ids[0], k)
    assert len(alike) == min(k, len(model) - 1) and model.ids[0] not in alike


@pytest.mark.parametrize("method", PERSONAL)
def test_the_checkerboard(method):
    model = Collaborative(method, factors=2).fit(checkerboard())
    for user in model.users:
        ids, _ = model.recommend(user, k=1)
        assert ids.tolist() == [f"p{user}"]
        colour = [f"p{p:02d}" for p in range(20) if p % 2 == int(user) % 2]
        assert sorted(model.recommend(user, 10, exclude_seen=False)[0]) == colour
        assert sorted(model.similar(f"p{user}", 9)[0]) == sorted(set(colour) - {f"p{user}"})
    baskets, _ = model.recommend_basket([["p00", "p02"], ["p01"]], 8)
    assert sorted(baskets[0]) == [f"p{p:02d}" for p in range(4, 20, 2)]
    assert set(baskets[1]) <= {f"p{p:02d}" for p in range(3, 20, 2)}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("pairs", ["ax", "ax ay", "ax bx", "ax by"])
def test_the_smallest_shops(method, pairs):
    model = Collaborative(method).fit(
        History(pd.DataFrame([list(p) for p in pairs.split()], columns=["user", "id"]))
    )
    for user in ("a", "b", "nobody"):
        ids, scores = model.recommend(user, exclude_seen=False)
        assert sorted(ids) == model.ids and np.isfinite(scores).all()
    assert len(model.recommend_basket(["x"])[0]) == len(model) - 1


@pytest.mark.parametrize("method", METHODS)
def test_who_is_not_known_gets_what_is_popular(method):
    table = pd.DataFrame(
        [(f"{u}", f"p{p}") for p in range(6) for u in range(p + 2)], columns=["user", "id"]
    )
    model = Collaborative(method, factors=4).fit(History(table))
    most = ["p5", "p4", "p3"]
    assert "stranger" not in model and "0" in model
    ids, scores = model.recommend("stranger", k=3)
    assert ids.tolist() == most
    np.testing.assert_allclose(scores, [7 / 7, 6 / 7, 5 / 7], rtol=1e-6)
    assert model.recommend_basket([], 3)[0].tolist() == most
    assert model.recommend_basket(["unheard of"], 3)[0].tolist() == most
    assert model.similar("unheard of", 3)[0].tolist() == most
    assert model.recommend("stranger", 3, where=["p0", "p1", "unheard of"])[0].tolist() == [
        "p1",
        "p0",
    ]
    assert model.recommend([], 3)[0].shape == (0, 3)
    assert model.recommend("stranger", where=[])[0].tolist() == []


@pytest.mark.parametrize("method", METHODS)
def test_what_was_disliked_is_seen_but_not_liked(method):
    table = pd.DataFrame(
        {
            "user": ["a", "b", "b"],
            "id": ["x", "x", "y"],
            "event": ["dislike", "purchase", "purchase"],
        }
    )
    model = Collaborative(method, factors=2).fit(History(table))
    assert model.recommend("a")[0].tolist() == ["y"]
    assert model.popularity().to_dict() == {"x": 1, "y": 1}


@pytest.mark.parametrize("method", METHODS)
def test_the_same_seed_is_the_same_model_and_saved_it_stays(method, tmp_path, monkeypatch):
    history = checkerboard(30)
    model, twin = (Collaborative(method, factors=6, seed=3).fit(history) for _ in range(2))
    users = [*model.users, "nobody"]
    assert (model.scores(users) == twin.scores(users)).all()
    model.save(tmp_path / "model")
    monkeypatch.setitem(sys.modules, "implicit", None)  # what is loaded must do without it
    loaded = Collaborative.load(tmp_path / "model")
    assert (loaded.scores(users) == model.scores(users)).all()
    assert (
        loaded.recommend_basket(["p01"], 5)[0].tolist()
        == model.recommend_basket(["p01"], 5)[0].tolist()
    )
    assert (loaded.seed, loaded.options, loaded.factors) == (
        model.seed,
        model.options,
        model.factors,
    )
    assert not [f for f in (tmp_path / "model").rglob("*") if f.suffix in (".pkl", ".pickle")]
    names = json.loads((tmp_path / "model" / "names.json").read_text(encoding="utf-8"))
    (tmp_path / "model" / "names.json").write_text(
        json.dumps(names | {"ids": names["ids"][::-1]}), encoding="utf-8"
    )
    with pytest.raises(ValueError, match="damaged"):
        Collaborative.load(tmp_path / "model")


@pytest.mark.parametrize("method", PERSONAL)
def test_a_missing_extra_is_named_when_it_is_needed(method, monkeypatch):
    for name in [m for m in sys.modules if m.split(".")[0] == "implicit"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "implicit", None)
    with pytest.raises(ImportError, match=r'pip install "prodrec\[history\]"'):
        Collaborative(method).fit(checkerboard(4))


def test_a_basket_has_the_factors_that_implicit_gives_it():
    from implicit.als import AlternatingLeastSquares

    matrix = History(checkerboard(12).events).matrix()
    model = AlternatingLeastSquares(factors=5, alpha=7.0, regularization=0.3, random_state=0)
    model.fit(matrix, show_progress=False)
    expected = model.recalculate_user(np.arange(4), matrix[:4])
    np.testing.assert_allclose(
        _fold_in(matrix[:4], model.item_factors, 7.0, 0.3), expected, atol=1e-4
    )


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="`method` must be one of als, .*'svd'"):
        Collaborative("svd")
    with pytest.raises(ValueError, match="`factors` must be a positive integer, received 0"):
        Collaborative(factors=0)
    with pytest.raises(ValueError, match="call `fit` or `load` first"):
        Collaborative().recommend("a")
    model = Collaborative("popularity").fit(checkerboard(4))
    with pytest.raises(ValueError, match="`k` must be a positive integer, received 0"):
        model.recommend("00", k=0)
    with pytest.raises(TypeError, match="`user` must be a string or a list of strings, received 7"):
        model.recommend([7])
    with pytest.raises(TypeError, match="received the string 'p00'"):
        model.recommend_basket("p00")
    with pytest.raises(ValueError, match="a mask of 1 values for 4 products"):
        model.recommend("00", where=[True])
    with pytest.raises(ValueError, match="'popularity' has no factors"):
        model.learn_content(["p00"], np.ones((1, 2)))


# -- what is new, and two opinions


def test_the_map_is_a_ridge_regression():
    rng = np.random.default_rng(0)
    vectors, factors = rng.normal(size=(30, 4)), rng.normal(size=(30, 3))
    found = content_map(vectors, factors)
    candidates = [
        Ridge(alpha=a).fit(vectors, factors).predict(vectors) for a in np.logspace(-2, 4, 7)
    ]
    assert min(np.abs(apply_map(vectors, found) - c).max() for c in candidates) < 1e-5
    with pytest.raises(ValueError, match="two or more"):
        content_map(vectors[:1], factors[:1])
    with pytest.raises(ValueError, match=r"`vectors` must be \(n, 4\)"):
        apply_map(vectors[:, :3], found)


@pytest.mark.parametrize("method", ["als", "bpr"])
def test_a_new_product_is_recommended_to_those_who_like_its_kind(method, tmp_path):
    history = checkerboard(hole=False)
    colours = np.eye(2)[[int(i[1:]) % 2 for i in history.ids]]
    model = Collaborative(method, factors=2).fit(history).learn_content(history.ids, colours)
    model.add(["new even", "new odd"], np.eye(2))
    model.save(tmp_path / "model")
    model = Collaborative.load(tmp_path / "model").add(["later odd"], np.eye(2)[1:])
    for user in model.users:
        kind = "odd" if int(user) % 2 else "even"
        assert model.recommend(user, 1)[0][0].endswith(kind)
    assert model.recommend_basket(["new odd"], 1)[0][0] in {
        "later odd",
        *(f"p{p:02d}" for p in range(1, 20, 2)),
    }
    with pytest.raises(ValueError, match="'p00'"):
        model.add(["p00"], np.ones((1, 2)))
    with pytest.raises(ValueError, match="`vectors` must be finite"):
        model.add(["other"], np.full((1, 2), np.nan))
    with pytest.raises(ValueError, match="call `learn_content` first"):
        Collaborative(method, factors=2).fit(history).add(["other"], np.ones((1, 2)))


def test_two_opinions_are_weighed_by_who_is_right():
    ids, truth = ["a", "b", "c", "d"], [["a"], ["b"]]
    good, bad = np.array([[9, 1, 2, 3], [10, 90, 20, 0]]), np.array([[0, 5, 5, 6], [0, 0, 9, 9]])
    assert blend_weights(good, bad, ids, truth, k=1).idxmax() == 0
    assert blend_weights(bad, good, ids, truth, k=1).loc[1.0] == 1
    hide = csr_matrix(([0.0], ([0], [0])), (2, 4))  # a stored 0 was seen too
    assert rank_scores(good, ids, 2, hide)[0].tolist() == [["d", "c"], ["b", "c"]]
    both = blend(good, bad, 0.25)
    expected = [
        0.75 * (g - g.mean()) / g.std() + 0.25 * (b - b.mean()) / b.std()
        for g, b in zip(good, bad, strict=True)
    ]
    np.testing.assert_allclose(both, expected, atol=1e-6)
    assert np.isfinite(blend(np.zeros((2, 4)), bad)).all()
    scores = content_scores(
        csr_matrix([[1.0, 0, 3, 0], [0, 0, 0, 0]]), [[2, 0], [0, 1], [0, 0], [1, 1]]
    )
    np.testing.assert_allclose(scores, [[1, 0, 0, np.sqrt(0.5)], [0, 0, 0, 0]], atol=1e-6)
    with pytest.raises(ValueError, match="`weight` must lie between 0 and 1"):
        blend(good, bad, 2)


# -- a real shop


@pytest.mark.skipif(
    "PRODREC_DATA" not in os.environ, reason="PRODREC_DATA does not say where the real data is"
)
def test_purchases_of_a_real_week_predict_the_last_day():
    path = Path(os.environ["PRODREC_DATA"]) / "hm" / "transactions.csv.gz"
    history = History.from_csv(path, user="customer_id", id="article_id", time="t_dat")
    assert len(history) == 86_159 and len(history.users) == 20_127
    assert all(len(i) == 10 and i[0] == "0" for i in history.ids)
    train, test = split_by_time(history, cut="2020-09-22")
    truth = ground_truth(train, test, new=False)
    assert len(truth) == 835
    recall = {}
    for method in ("popularity", "cosine", "als", "bpr"):
        found, _ = (
            Collaborative(method, factors=64)
            .fit(train)
            .recommend(truth.index, 12, exclude_seen=False)
        )
        recall[method] = evaluate_ranking(found, truth, 12).loc["recall@12"]
    assert all(
        recall[m]["low"] > 3 * recall["popularity"]["value"] for m in ("cosine", "als", "bpr")
    )
