"""The map of products, on points whose groups are known."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from prodrec.core import save_folder
from prodrec.data.demo import load_demo

pytest.importorskip("openTSNE")
from prodrec.recommend.index import FaissIndex
from prodrec.recommend.map import (
    PALETTE,
    REST,
    ProductMap,
    draw_names,
    free_place,
    least_difference,
    map_figure,
    name_places,
    seen_colours,
)


def groups(n, dim=8, kinds=4, seed=0):
    "(vectors, the group of each), groups far apart."
    rng = np.random.default_rng(seed)
    kind = np.arange(n) % kinds
    return (np.eye(dim)[kind] * 3 + rng.normal(scale=0.2, size=(n, dim))).astype(np.float32), kind


@pytest.fixture(scope="module")
def placed():
    vectors, _ = groups(120)
    return ProductMap.fit([f"{i}" for i in range(120)], vectors, steps=200)


def nearest_kind(xy, points, kind):
    return kind[((points[:, None] - xy[None]) ** 2).sum(-1).argmin(1)]


def test_groups_stay_together(placed):
    _, kind = groups(120)
    distances = ((placed.xy[:, None] - placed.xy[None]) ** 2).sum(-1)
    np.fill_diagonal(distances, np.inf)
    assert (kind[distances.argmin(1)] == kind).all()
    frame = placed.to_frame()
    assert (
        list(frame) == ["id", "x", "y"]
        and frame.id.tolist() == placed.ids
        and np.isfinite(placed.xy).all()
    )


def test_the_same_seed_gives_the_same_map(placed):
    vectors, _ = groups(120)
    again = ProductMap.fit(placed.ids, vectors, steps=200)
    np.testing.assert_array_equal(again.xy, placed.xy)
    other = ProductMap.fit(placed.ids, vectors, steps=200, seed=1)
    assert np.abs(other.xy - placed.xy).max() > 1e-3


def test_new_points_come_to_their_own_kind_and_nothing_moves(placed):
    new, kind = groups(24, seed=5)
    before = placed.xy.copy()
    at = placed.place(new)
    assert at.shape == (24, 2) and at.dtype == np.float32
    assert (nearest_kind(before, at, groups(120)[1]) == kind).all()
    np.testing.assert_array_equal(placed.xy, before)
    assert placed.place(new[0]).shape == (1, 2)


def test_add_takes_them_in_or_nothing(placed, tmp_path):
    placed.save(tmp_path / "m")
    grown, (new, _) = ProductMap.load(tmp_path / "m"), groups(5, seed=6)
    grown.add([f"new{i}" for i in range(5)], new)
    assert len(grown) == 125 and grown.to_frame().id.tolist() == grown.ids
    with pytest.raises(ValueError, match="the same id twice"):
        grown.add(["x", "new0"], new[:2])
    assert len(grown) == len(grown.xy) == len(grown.ids) == 125


def test_copies_and_few_products_have_a_place():
    copies = ProductMap.fit([f"{i}" for i in range(20)], np.ones((20, 4)), steps=50)
    assert np.isfinite(copies.xy).all()
    zeros = ProductMap.fit([f"{i}" for i in range(12)], np.zeros((12, 1)), steps=50)
    assert np.isfinite(zeros.xy).all() and np.isfinite(zeros.place(np.ones((2, 1)))).all()
    with pytest.raises(ValueError, match="at least ten"):
        ProductMap.fit(["a", "b"], np.eye(2))


def test_what_is_no_saved_map(placed, tmp_path):
    placed.save(tmp_path / "m")
    pd.testing.assert_frame_equal(ProductMap.load(tmp_path / "m").to_frame(), placed.to_frame())
    (tmp_path / "m" / "map.parquet").write_bytes(b"")
    with pytest.raises(ValueError, match="is damaged"):
        ProductMap.load(tmp_path / "m")
    with save_folder(tmp_path / "other", "Index"):
        pass
    with pytest.raises(ValueError, match="holds a saved Index"):
        ProductMap.load(tmp_path / "other")
    with pytest.raises(ValueError, match="`xy` must be"):
        ProductMap(["a"], np.ones((1, 2)), np.ones((2, 2)), 5, 0)


@pytest.mark.parametrize("pictures", [0, 6, 1000])
def test_the_figure_takes_products_without_picture_or_label(pictures):
    catalog = load_demo(60)
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {"id": catalog.ids, "x": rng.normal(size=len(catalog)), "y": rng.normal(size=len(catalog))}
    )
    ax = map_figure(table, catalog, target="brand", pictures=pictures)
    assert "coloured by brand" in ax.get_title() and ax.get_xlabel() == "t-SNE 1"
    drawn = [a for a in ax.artists if type(a).__name__ == "AnnotationBbox"]
    assert len(drawn) <= pictures and bool(drawn) == bool(pictures)
    plt.close(ax.figure)
    with pytest.raises(ValueError, match="`target` .nothing. is no column"):
        map_figure(table, catalog, target="nothing")
    plt.close("all")


def test_products_leave_the_map_and_the_others_stay(placed, tmp_path):
    placed.save(tmp_path / "m")
    rest = ProductMap.load(tmp_path / "m").remove(["3", "119"])
    assert len(rest) == len(rest.xy) == 118 and "3" not in rest.ids
    np.testing.assert_array_equal(rest.xy, np.delete(placed.xy, [3, 119], axis=0))
    np.testing.assert_array_equal(rest.index.take(), np.delete(placed.index.take(), [3, 119], 0))
    with pytest.raises(KeyError, match="not on the map"):
        rest.remove(["3"])


def test_an_index_gives_its_vectors_and_is_not_changed(placed):
    index = FaissIndex().add(groups(120)[0])
    again = ProductMap.fit(placed.ids, index, steps=200)
    np.testing.assert_array_equal(again.xy, placed.xy)
    again.remove(["0"])
    assert len(index) == 120


def test_the_colours_differ_for_colour_blind_readers():
    from colorsys import rgb_to_hls

    for eyes in ("normal", "deuteranopia", "protanopia"):
        assert least_difference([*PALETTE, REST, "white"], eyes) > 15
    red, green = seen_colours(["#C00000", "#5E7000"], "deuteranopia")
    assert np.linalg.norm(red - green) < np.linalg.norm(
        np.subtract(*seen_colours(["#C00000", "#5E7000"]))
    )
    np.testing.assert_allclose(seen_colours(["white"])[0], [100, 0, 0], atol=0.1)
    assert rgb_to_hls(*plt.matplotlib.colors.to_rgb(REST))[1] < 0.85  # it is seen on white


def test_names_stand_where_a_kind_is_densest_and_do_not_cover_each_other():
    rng = np.random.default_rng(0)
    far = rng.normal(scale=0.1, size=(30, 2)) + [10, 10]
    near = rng.normal(scale=0.1, size=(70, 2))
    table = pd.DataFrame(np.concatenate([near, far]), columns=["x", "y"])
    labels = pd.Series(["mug"] * 100)
    places = name_places(table, labels)
    assert abs(places.loc["mug", ["x", "y"]]).max() < 0.2 and places.loc["mug", "share"] > 0.5
    assert free_place((0, 0, 1, 1), [(0, 0, 1, 1), (0, 1, 1, 1)]) == (0, -1, 1, 1)
    assert free_place((0, 0, 1, 1), [(1, 0, 1, 1)]) == (0, 0, 1, 1)  # they touch
    _, ax = plt.subplots()
    same = pd.DataFrame({"x": 0.5, "y": 0.5}, index=[f"kind {n}" for n in range(9)])
    assert draw_names(ax, same) == [f"kind {n}" for n in range(5)]
    plt.close("all")


def test_a_map_shows_itself(placed):
    assert repr(placed).startswith("ProductMap(120 products, 8 numbers each")
    assert "data:image/png;base64," in placed._repr_html_()


def test_the_former_name_of_the_column_warns():
    catalog = load_demo(20)
    table = pd.DataFrame({"id": catalog.ids, "x": range(len(catalog)), "y": 0.0})
    with pytest.warns(DeprecationWarning, match="`by` is now `target`"):
        map_figure(table, catalog, by="brand")
    plt.close("all")
