"""Every figure, with a catalogue that makes it hard: many classes, long names, gaps, scripts."""

import inspect
import re
import subprocess
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from builders import picture

import prodrec
from prodrec.apps.monitor import drift_figure, quality, quality_figure
from prodrec.data.audit import audit, issues_figure
from prodrec.data.catalog import Catalog
from prodrec.data.explore import (
    categories_figure,
    explore,
    lengths_figure,
    missing_figure,
    prices_figure,
    samples_figure,
    words_figure,
)
from prodrec.data.figures import (
    COLOURS,
    DPI,
    figure_style,
    label_names,
    name_ticks,
    new_axes,
    picture_axes,
    script_fonts,
    wrapped,
)
from prodrec.models.calibration import reliability_figure
from prodrec.models.report import (
    Report,
    comparison_figure,
    confusion_figure,
    confusions_figure,
    errors_figure,
)
from prodrec.models.training import training_figure
from prodrec.models.tuning import slices_figure
from prodrec.recommend.compare import answers_figure
from prodrec.recommend.complements import relations_figure
from prodrec.recommend.history import History
from prodrec.recommend.hits import Hits, hits_figure
from prodrec.recommend.map import least_difference, map_figure
from prodrec.recommend.pairs import lift_figure
from prodrec.recommend.ranking import MinScore, threshold_table

DRESS = "Women's long-sleeved cotton evening dress with a belt, colour number"
SCRIPTS = [
    "高級腕時計と革",
    "פריטי לבוש לנשים",
    "ملابس نسائية",
    "from $5 to $10",
    "<b>bold</b> & Co",
]
MANY = [*(f"{DRESS} {n:03d}" for n in range(99)), *SCRIPTS]
IN_PROSE = "A classifier of pictures and texts with a name of its own, number"


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def catalogue(kinds: list[str], n: int) -> Catalog:
    "Return `n` products of `kinds` with gaps in every column, prices without a currency."
    kind = [kinds[i % len(kinds)] for i in range(n)]
    frame = pd.DataFrame(
        {
            "title": [None if i % 9 == 4 else f"{kind[i]}, model {i}" for i in range(n)],
            "category": [None if i % 50 == 7 else kind[i] for i in range(n)],
            "price": [np.nan if i % 10 == 3 else 2.0 + i % 700 for i in range(n)],
            "image": [None if i % 11 == 5 else picture(i % 17) for i in range(n)],
            "a column whose name says everything that there is to say": [None] * (n - 1) + [" "],
        }
    )
    return Catalog(frame.set_axis([f"{i:04d}" for i in range(n)], axis=0))


WORLDS = {"many": catalogue(MANY, 312), "one": catalogue(["Dress"], 12)}
SCRIPT = catalogue(SCRIPTS, 40)


def answers_of(catalog: Catalog) -> Report:
    "Return the report of a classifier that is right in two of three products."
    labels = catalog.products["category"].fillna("none").astype(str).to_numpy()
    classes = sorted({*labels})
    rng = np.random.default_rng(0)
    proba = rng.dirichlet(np.full(len(classes), 0.2), len(labels))
    proba[np.arange(len(labels)), [classes.index(x) for x in labels]] += rng.random(len(labels))
    proba = (proba / proba.sum(1, keepdims=True)).astype(np.float32)
    return Report(labels, proba, classes, ids=catalog.ids, name=f"{IN_PROSE} 1")


REPORTS = {name: answers_of(world) for name, world in WORLDS.items()}


def on_map(catalog: Catalog) -> pd.DataFrame:
    n = np.arange(len(catalog))
    return pd.DataFrame({"id": catalog.ids, "x": n % 24 / 2, "y": n // 24 / 2.0})


def events(*times: str) -> History:
    "Return likes and dislikes by turns."
    told = ["like", "dislike"] * len(times)
    frame = pd.DataFrame({"time": pd.to_datetime(list(times)), "event": told[: len(times)]})
    return History(frame.assign(user="u", id="0001"))


def a_year() -> History:
    return events(*pd.date_range("2024", periods=366).astype(str))


def epochs(n: int) -> pd.DataFrame:
    down, up = np.linspace(4, 0.2, n), np.linspace(0.01, 0.9, n)
    return pd.DataFrame({"loss": down, "accuracy": up, "val_loss": down, "val_accuracy": up})


def lifts(kinds: list[str]) -> pd.DataFrame:
    values = np.random.default_rng(0).normal(size=(len(kinds), len(kinds)))
    return pd.DataFrame(values, kinds, kinds)


SPACE = {
    "learning_rate": {"low": 1e-5, "high": 0.1, "log": True},
    "units": {"choices": [32, 64, 128, 256, 512, 1024]},
    "network": {"choices": [f"{IN_PROSE} {n}" for n in range(5)]},
    "an option with a name that is far longer than the others": {"choices": [True, False]},
}


def trials(n: int = 30) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    drawn = {k: [d["choices"][i] for i in rng.integers(len(d["choices"]), size=n)]
             for k, d in SPACE.items() if "choices" in d}  # fmt: skip
    rate = 10 ** rng.uniform(-5, -1, n)
    return pd.DataFrame(
        {"status": "completed", "score": rng.random(n), "learning_rate": rate} | drawn
    )


def costs(n: int) -> pd.DataFrame:
    figures = {"accuracy": 0.8, "accuracy_low": 0.7, "accuracy_high": 0.9}
    names = [f"{IN_PROSE} {i}" for i in range(n)]
    return pd.DataFrame(figures, index=names).assign(ms_per_product=np.arange(1.0, n + 1))


def signals(n: int) -> pd.DataFrame:
    detail = "median brightness from 0.512 to 0.893, and the words that say what that means"
    table = pd.DataFrame({"psi": 0.8, "p": 0.0, "detail": detail, "alarm": True}, range(n))
    return table.set_axis([f"{DRESS} {i}" for i in range(n)])


def hits(catalog: Catalog) -> Hits:
    scores = np.linspace(0.9, 0.1, 9)
    return Hits(catalog.ids[:9], scores, {"image": scores}, ["alike"] * 9, catalog)


def threshold() -> MinScore:
    scores = np.linspace(0, 1, 50)
    table = threshold_table(scores, scores + np.sin(9 * scores) > 0.7)
    return MinScore(table["min_score"].iloc[10], table, 0.8)


def of_worlds(draw, worlds=("many", "one")) -> dict:
    return {world: lambda world=world: draw(WORLDS[world], REPORTS[world]) for world in worlds}


def of_many(draw) -> dict:
    return of_worlds(draw, ("many",))


FIGURES = {
    "categories": of_worlds(lambda c, r: categories_figure(c)),
    "samples": of_many(lambda c, r: samples_figure(c, rows=3, columns=4)),
    "prices": of_worlds(lambda c, r: prices_figure(c)),
    "lengths": of_many(lambda c, r: lengths_figure(c)),
    "words": of_many(lambda c, r: words_figure(c)),
    "missing": of_many(lambda c, r: missing_figure(c)),
    "explore": of_worlds(lambda c, r: explore(c)),
    "issues": {"one": lambda: issues_figure(audit(WORLDS["one"], near=False))},
    "confusion": of_worlds(lambda c, r: confusion_figure(r.confusion, r.name)),
    "confusions": of_many(lambda c, r: confusions_figure(r.confusions(), r.name)),
    "reliability": of_worlds(lambda c, r: reliability_figure({IN_PROSE: r.calibration})),
    "errors": {"many": lambda: errors_figure(REPORTS["many"].worst(5), WORLDS["many"])},
    "comparison": {str(n): lambda n=n: comparison_figure(costs(n)) for n in (1, 12)},
    "training": {str(n): lambda n=n: training_figure(epochs(n), IN_PROSE) for n in (1, 300)},
    "slices": {
        "many": lambda: slices_figure(trials(), SPACE, 3),
        "one": lambda: slices_figure(trials(), {"units": SPACE["units"]}, 3),
    },
    "hits": of_many(lambda c, r: hits_figure(hits(c), c)),
    "answers": of_many(
        lambda c, r: answers_figure(
            c, c.ids[:2], {IN_PROSE: [c.ids[2:7]] * 2, "b": [c.ids[1:4]] * 2}
        )
    ),
    "relations": of_many(
        lambda c, r: relations_figure(
            c, c.ids[0], {"complements": c.ids[1:5], "substitutes": c.ids[4:7]}
        )
    ),
    "lift": {str(n): lambda n=n: lift_figure(lifts(MANY[-n:])) for n in (1, 4, 104)},
    "map": of_worlds(lambda c, r: map_figure(on_map(c), c, target="category")),
    "thresholds": {"one": lambda: threshold().figure()},
    "drift": {str(n): lambda n=n: drift_figure(signals(n)) for n in (1, 15)},
    "quality": {
        "two": lambda: quality_figure(quality(events("2024-01-01", "2024-01-09"))),
        "same": lambda: quality_figure(quality(events("2024-01-01", "2024-01-01"))),
        "year": lambda: quality_figure(quality(a_year(), "1D")),
    },
}  # fmt: skip
CASES = [(figure, case) for figure, cases in FIGURES.items() for case in cases]


def overlapping(texts: list) -> list[tuple[str, str]]:
    "Return the pairs of neighbouring texts whose boxes overlap by more than a pixel."
    boxes = [
        (t.get_text(), t.get_window_extent()) for t in texts if t.get_visible() and t.get_text()
    ]
    return [
        (a, b)
        for n, (a, one) in enumerate(boxes)
        for b, two in boxes[n + 1 :]
        if min(one.x1, two.x1) - max(one.x0, two.x0) > 1
        and min(one.y1, two.y1) - max(one.y0, two.y0) > 1
    ]


def shown_ticks(axis) -> list:
    low, high = sorted(axis.get_view_interval())
    ticks = [t for t in axis.get_major_ticks() if low <= t.get_loc() <= high]
    return [t.label1 for t in ticks]


def check_axes(ax, title: str):
    "Assert that one Axes says what it shows, without texts over each other or cut off."
    pictures = not ax.axison or not (ax.xaxis.get_visible() and len(ax.get_xticks()))
    assert title or ax.get_title(), "no title"
    if ax.axison and not pictures:
        assert ax.get_xlabel(), "no label of the x axis"
    named = any(text.get_text()[:1].isalpha() for text in shown_ticks(ax.yaxis))
    beside = [ax, *ax.get_shared_y_axes().get_siblings(ax)]
    if ax.axison and len(ax.get_yticks()) and not named:
        assert any(other.get_ylabel() for other in beside), "numbers without a label of the y axis"
    for axis in (ax.xaxis, ax.yaxis) if ax.axison else ():
        assert not overlapping(shown_ticks(axis))
    assert not overlapping(ax.texts)


@pytest.mark.filterwarnings("ignore:Glyph .* missing")  # no font for Chinese on this machine
@pytest.mark.parametrize(("figure", "case"), CASES, ids=[f"{f}-{c}" for f, c in CASES])
def test_a_figure_says_what_it_shows(figure, case):
    drawn = FIGURES[figure][case]()
    page = np.ravel(drawn)[0].figure
    page.draw_without_rendering()
    assert page.dpi >= 110 and page.get_figwidth() <= 13 and page.get_figheight() <= 14
    title = page.get_suptitle()
    for ax in [ax for ax in page.axes if ax.get_label() != "<colorbar>"]:
        check_axes(ax, title)
    width, height = page.bbox.width, page.bbox.height
    texts = [t for ax in page.axes for t in (ax.title, ax.xaxis.label, ax.yaxis.label)]
    for text in [t for t in [page._suptitle, *texts] if t is not None and t.get_text()]:
        box = text.get_window_extent()
        assert box.x0 >= -2 and box.x1 <= width + 2, f"{text.get_text()!r} is cut off"
        assert box.y0 >= -2 and box.y1 <= height + 2, f"{text.get_text()!r} is cut off"


def test_every_function_that_draws_is_in_the_list():
    root, found = Path(prodrec.__file__).parent, set()
    for path in root.rglob("*.py"):
        found |= {*re.findall(r"(?m)^def ([a-z]\w*)_figure\(", path.read_text(encoding="utf-8"))}
    slow = {"grad_cam", "explain"}  # need a network: tests of their own
    assert found - slow - {"save"} <= set(FIGURES)


def test_one_place_sets_the_resolution():
    "No chapter writes a number of dots an inch but the one on figures."
    nbs = Path(prodrec.__file__).parent.parent / "nbs"
    if not nbs.is_dir():
        pytest.skip("the package is installed without its chapters")
    with_own = [
        p.name for p in nbs.glob("*.ipynb") if re.search(r"dpi[\"']?[=:] ?\d", p.read_text())
    ]
    assert not with_own


def test_colours_can_be_told_apart_by_everyone():
    for eyes in ("normal", "deuteranopia", "protanopia"):
        assert least_difference(COLOURS, eyes) > 10


def test_the_rest_of_many_classes_is_in_the_title_and_no_bar():
    ax = categories_figure(WORLDS["many"], n=7)
    assert len(ax.patches) == 7 and "97 others" in ax.get_title()


def test_names_that_begin_alike_stay_apart():
    for ax in (lift_figure(lifts(MANY[:20])), confusions_figure(REPORTS["many"].confusions(12))):
        names = [t.get_text() for t in ax.get_yticklabels()]
        assert len(set(names)) == len(names) > 5


def test_quality_is_drawn_of_a_table_without_likes():
    "As the events of the demo are: views, purchases and ratings."
    times = pd.date_range("2024", periods=90).astype(str)
    table = pd.DataFrame({"user": "u", "id": "1", "event": "purchase", "time": times})
    table.loc[::3, "event"] = "view"
    ax = quality_figure(quality(table))
    ax.figure.draw_without_rendering()
    assert ax.get_ylabel() == "share of good opinions" and not overlapping(shown_ticks(ax.xaxis))


def test_a_threshold_without_a_table_says_where_one_comes_from():
    with pytest.raises(ValueError, match="has no table"):
        MinScore(0.5).figure()


@pytest.mark.parametrize(
    ("columns", "price", "said"),
    [
        ({}, "price", "unnamed currency"),
        ({}, "price_usd", "price_usd in USD"),
        ({}, "price_old", "unnamed currency"),
        ({"currency": "EUR"}, "price", "price in EUR"),
        ({"currency": ["EUR", "USD"] * 6}, "price", "several currencies: EUR, USD"),
        ({"currency": None}, "price", "unnamed currency"),
    ],
)
def test_prices_name_their_currency(columns, price, said):
    products = WORLDS["one"].products.rename(columns={"price": price}).assign(**columns)
    assert said in prices_figure(Catalog(products), price=price).get_xlabel()
    assert "in CHF" in prices_figure(Catalog(products), price=price, currency="CHF").get_xlabel()


def test_one_category_has_no_words_of_its_own_and_the_figure_says_so():
    ax = words_figure(WORLDS["one"])
    assert [t.get_text() for t in ax.texts] == ["no word sets one category apart"]


def test_pictures_as_bytes_are_no_missing_values():
    assert "100" not in [t.get_text() for t in missing_figure(SCRIPT).texts][1:]


# -- what figures are made of


def test_the_look_ends_with_the_function():
    before = {k: plt.rcParams[k] for k in ("figure.dpi", "font.family", "axes.titlesize")}

    @figure_style
    def draw(ax=None, height=2):
        "Draw something."
        return new_axes(ax, height)

    assert draw(height=3).figure.get_size_inches().tolist() == [7, 3]
    assert draw().figure.dpi == DPI and draw.__doc__ == "Draw something."
    assert list(inspect.signature(draw).parameters) == ["ax", "height"]
    assert before == {k: plt.rcParams[k] for k in before}

    @figure_style
    def first_of_a_notebook():
        plt.rcParams["interactive"] = True  # as the backend of a notebook does

    first_of_a_notebook()
    assert plt.isinteractive()
    plt.ioff()

    @figure_style
    def fails():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    assert before == {k: plt.rcParams[k] for k in before}


def test_fonts_for_other_scripts_are_those_of_the_machine(monkeypatch):
    from matplotlib import font_manager

    class Font:
        name = "SimHei"

    monkeypatch.setattr(font_manager.fontManager, "ttflist", [Font])
    script_fonts.cache_clear()
    assert script_fonts() == ("SimHei",)
    script_fonts.cache_clear()


@pytest.mark.parametrize(
    ("n", "columns", "shape"), [(0, 3, (1, 1)), (2, 3, (1, 2)), (7, 3, (3, 3))]
)
def test_a_grid_has_a_cell_for_each_picture(n, columns, shape):
    axes = picture_axes(n, columns)
    assert axes.shape == shape and not any(ax.axison for ax in axes.flat)


def test_labels_keep_their_value_and_get_a_short_name():
    labels = label_names(WORLDS["many"], "category", ["0000", "0001", "0007"], 12)
    assert labels["0000"][0] == MANY[0] and labels["0000"][1] != labels["0001"][1]
    assert len(labels["0000"][1]) <= 12 and labels["0007"][1] == ""
    with pytest.raises(KeyError):
        label_names(WORLDS["many"], "category", ["nothing"])


def test_a_title_is_broken_into_lines():
    assert wrapped("a b\nc", 60) == "a b\nc" and wrapped("", 9) == ""
    assert max(map(len, wrapped(IN_PROSE * 3, 30).splitlines())) <= 30


def test_ticks_get_short_names():
    ax = new_axes()
    name_ticks(ax.yaxis, MANY[:3], 20)
    assert len({t.get_text() for t in ax.get_yticklabels()}) == 3


def test_pyplot_is_loaded_when_it_is_first_used(tmp_path):
    code = "import sys; from prodrec.data.figures import plt; print('matplotlib' in sys.modules); "
    code += "plt.Axes; print('matplotlib' in sys.modules, hasattr(plt, '__wrapped__'))"
    call = [sys.executable, "-c", code]
    done = subprocess.run(call, capture_output=True, text=True, cwd=tmp_path, check=True)
    assert done.stdout.split() == ["False", "True", "False"]
