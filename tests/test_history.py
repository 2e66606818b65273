"""What holds for every history, whatever the events."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from builders import events
from hypothesis import given, settings
from hypothesis import strategies as st

from prodrec.recommend.history import (
    History,
    ground_truth,
    leave_last_out,
    split_by_order,
    split_by_time,
    split_pairs,
    warn_unknown_products,
)

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


# -- times, order, and products that are not there


def test_iso_times_of_every_precision_and_zone_are_read_together():
    times = ["2024-01-01", "2024-01-01 10:00:00", "2024-01-01T10:00:00.123456Z", "20240101T1015"]
    times += ["2024-01-01T10:00+02:00", "2024-01-01T10:00:00-0330", "2024-01"]
    history = History(pd.DataFrame({"user": "a", "id": [f"{n}" for n in range(7)], "time": times}))
    found = history.events.set_index("id")["time"].sort_index()
    assert found.dt.strftime("%H:%M").tolist() == [
        "00:00",
        "10:00",
        "10:00",
        "10:15",
        "08:00",
        "13:30",
        "00:00",
    ]
    for other in ("02/01/2024", "2.1.2024", "02-01-24 10:00"):
        with pytest.raises(ValueError, match="`time` holds .*ambiguous.*format="):
            History(pd.DataFrame({"user": "a", "id": "x", "time": ["2024-01-01", other]}))
    assert len(
        History(pd.DataFrame({"user": "a", "id": "x", "time": ["1 May 2024", "2024-05-02"]}))
    )


def test_an_order_is_kept_and_split_by():
    table = pd.DataFrame({"user": list("aabb"), "id": list("wxyz"), "step": [3, 1, 4, 2]})
    history = History.from_frame(table, order="step")
    assert history.events["id"].tolist() == ["x", "z", "w", "y"]
    assert History(history.events).events["id"].tolist() == ["x", "z", "w", "y"]
    train, test = split_by_order(history, 0.25)
    assert train.events["id"].tolist() == ["x", "z", "w"] and test.ids == ["y"]
    for share in (0, 1, 0.01):
        with pytest.raises(ValueError, match="`share`.*one side empty"):
            split_by_order(history, share)
    with pytest.raises(ValueError, match="`order` must hold numbers, found None"):
        History(pd.DataFrame({"user": ["a"], "id": ["x"], "order": [None]}))
    timed = History(
        pd.DataFrame({"user": "a", "id": ["x", "y"], "time": "2024-01-01", "order": [2, 1]})
    )
    assert timed.events["id"].tolist() == ["y", "x"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("user,id,value\nu1,p1,2,5\nu2,p2,1,0\n", "line 2: expected 3 fields, found 4"),
        ("user,id,value\nu1,p1,2,\nu2,p2,1,0\n", "line 3"),
        ("user,id,value\nu1,p1,2\nu2,p2,1,0\n", "line 3"),
        ('user,id,value\n"u\n1",p1,2,\nu2,p2,1,0\n', "line 4"),
    ],
)
def test_a_row_that_is_too_long_is_named_by_its_line(text, message, tmp_path):
    (tmp_path / "events.csv").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        History.from_csv(tmp_path / "events.csv")


def test_empty_fields_at_the_end_are_passed_over(tmp_path):
    (tmp_path / "events.csv").write_text("user;id;value\n1;01;2;\n2;02;1;\n", encoding="utf-8")
    history = History.from_csv(tmp_path / "events.csv", read={"sep": ";"})
    assert history.events[["user", "id", "value"]].values.tolist() == [
        ["1", "01", 2],
        ["2", "02", 1],
    ]


@pytest.mark.parametrize(
    ("ids", "cause"),
    [
        (["100", "101", "102"], "0 of 3 products.*0 of 3 events.*leading zeros.*'100' for '0100'"),
        (["A1", "a2 ", "A3"], "case or spaces"),
        (["7.0", "8.0", "9.0"], "decimals were probably added"),
        (["x", "y", "z"], "e.g. 'x' is not"),
    ],
)
def test_a_history_of_other_products_is_said(ids, cause):
    history = History(pd.DataFrame({"user": ["a", "b", "c"], "id": ids}))
    catalogue = ["0100", "0101", "0102", "a1", "a2", "a3", "7", "8", "9"]
    with pytest.warns(UserWarning, match=cause):
        warn_unknown_products(history, catalogue)


def test_a_history_of_the_catalogue_warns_of_nothing(recwarn):
    history = History(pd.DataFrame({"user": ["a", "b", "c"], "id": ["1", "2", "gone"]}))
    warn_unknown_products(history, ["1", "2"])
    assert not recwarn


def test_a_history_is_saved_and_shown(tmp_path):
    history = History(pd.DataFrame(GOOD), weights={"view": 0.5})
    history.save(tmp_path / "history")
    again = History.load(tmp_path / "history")
    pd.testing.assert_frame_equal(again.events, history.events)
    assert again.weights == history.weights
    assert "2 events: 1 view, 1 purchase; 2 users, 2 products" in repr(history)
    assert "1 purchase" in history._repr_html_()


MODULES = ("history", "cold_start", "user_models", "collaborative", "blend", "profiles")


@pytest.mark.parametrize("module", MODULES)
def test_nothing_here_loads_tensorflow(module):
    code = f"""import sys, prodrec.recommend.{module}
assert not [m for m in sys.modules if m.split(".")[0] in ("keras", "tensorflow", "implicit")]"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
