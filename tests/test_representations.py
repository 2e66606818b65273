"""What a notebook shows of every object: short, telling, quick, and safe against HTML in data."""

import pickle
import time

import numpy as np
import pandas as pd
import pytest
from builders import picture

from prodrec.apps.batching import MicroBatcher
from prodrec.apps.changes import ChangeLog
from prodrec.apps.live import LiveRecommender
from prodrec.apps.monitor import drift, observe
from prodrec.apps.workspace import Versions, Workspace
from prodrec.core import Profiler
from prodrec.data.audit import audit
from prodrec.data.catalog import Catalog, Product
from prodrec.data.split import leaks, split
from prodrec.models.choice import Budget, Tried
from prodrec.models.classifier import ImageClassifier
from prodrec.models.hybrid import HybridClassifier
from prodrec.models.pixels import load_pixels
from prodrec.models.report import Report
from prodrec.models.text import TextClassifier
from prodrec.recommend.attributes import Attributes
from prodrec.recommend.blend import Blend
from prodrec.recommend.collaborative import ALS, BPR, ItemKNN, Popularity
from prodrec.recommend.complements import Complements
from prodrec.recommend.embedders import ColorHistogram, TfidfEmbedder
from prodrec.recommend.history import History
from prodrec.recommend.index import FaissIndex
from prodrec.recommend.linear import EASE, SLIM
from prodrec.recommend.map import ProductMap
from prodrec.recommend.markov import Markov
from prodrec.recommend.metric_learning import MetricEmbedder
from prodrec.recommend.profiles import Feedback, Profiles, user_profile
from prodrec.recommend.quantized import QuantizedIndex
from prodrec.recommend.query import Query
from prodrec.recommend.ranking import MinScore, threshold_table
from prodrec.recommend.recommender import Recommender
from prodrec.recommend.reduction import PCAEmbedder
from prodrec.recommend.sequential import Sequential
from prodrec.recommend.sparse import WordIndex
from prodrec.recommend.two_tower import TwoTower

EVIL = "<script>alert(1)</script>"


def products(n: int = 40) -> Catalog:
    rows = range(n)
    frame = pd.DataFrame(
        {
            "title": [f"{EVIL} {'red' if i % 2 else 'blue'} mug {i}" for i in rows],
            "category": [f"{EVIL} {i % 4}" for i in rows],
            "price": [1.5 + i for i in rows],
            "image": [picture(i) for i in rows],
            "note": None,
        }
    )
    return Catalog(frame.set_axis([f"{EVIL}{i:03d}" for i in rows], axis=0))


CATALOG = products()
RNG = np.random.default_rng(0)


def bought(n: int = 200) -> History:
    day = pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(n) // 5, unit="D")
    users = [f"{EVIL}{u}" for u in RNG.integers(15, size=n)]
    ids = np.array(CATALOG.ids, object)[RNG.integers(len(CATALOG), size=n)]
    events = pd.DataFrame({"user": users, "id": ids, "event": "purchase", "time": day})
    return History(events)


HISTORY = bought()


def report() -> Report:
    labels = CATALOG.products["category"].to_numpy()
    classes = sorted(set(labels))
    return Report(
        labels, RNG.dirichlet(np.ones(4), len(labels)), classes, ids=CATALOG.ids, name=EVIL
    )


def tried() -> Tried:
    table = Tried()
    table.add(EVIL, {"units": 8}, 20, 1.0, 0.5, 0.9)
    table.add("other", {}, 20, 1.0, 0.4, 1.1)
    return table


def threshold() -> MinScore:
    scores = np.linspace(0, 1, 9)
    return MinScore(0.5, threshold_table(scores, scores > 0.4), 0.8)


def recommender() -> Recommender:
    return Recommender(image=ColorHistogram(), text=TfidfEmbedder()).fit(CATALOG)


def shown_drift():
    seen = observe(CATALOG, {"color": ColorHistogram()})
    return drift(seen, seen)


def baskets() -> History:
    "Return purchases in which users take several products at once."
    events = HISTORY.events.assign(time=pd.Timestamp("2024-01-01"))
    return History(events)


def first_profile():
    events = HISTORY.events
    return user_profile(events[events["user"] == events["user"].iloc[0]])


VECTORS = RNG.normal(size=(len(CATALOG), 8)).astype(np.float32)
UNFITTED = [ImageClassifier, TextClassifier, HybridClassifier, TfidfEmbedder]
UNFITTED += [
    Popularity,
    ItemKNN,
    ALS,
    BPR,
    Markov,
    EASE,
    SLIM,
    Sequential,
    TwoTower,
    Blend,
    Complements,
]
UNFITTED += [FaissIndex, QuantizedIndex, WordIndex, Profiles]

MADE = {
    "Catalog": lambda: CATALOG,
    "Product": lambda: CATALOG[CATALOG.ids[0]],
    "Sides": lambda: split(CATALOG),
    "leaks": lambda: leaks(*list(split(CATALOG).values())[:2]),
    "Audit": lambda: audit(CATALOG),
    "History": lambda: HISTORY,
    "Pixels": lambda: load_pixels(CATALOG, (8, 8)),
    "Report": report,
    "Tried": tried,
    "an empty Tried": Tried,
    "Budget": lambda: Budget(1.0),
    "Profiler": lambda: Profiler(),
    "MinScore": threshold,
    "Recommender": recommender,
    "Hits": lambda: recommender().recommend(3, id=CATALOG.ids[0]),
    "Spaces": lambda: recommender().spaces,
    "Query": lambda: Query(id=CATALOG.ids[0], image=[np.zeros((9, 9, 3), np.uint8)], k=3),
    "Query with a function": lambda: Query(text=[EVIL * 9], where=lambda table: table.price > 1),
    "ColorHistogram": ColorHistogram,
    "TfidfEmbedder": lambda: TfidfEmbedder().fit(CATALOG),
    "PCAEmbedder": lambda: PCAEmbedder(ColorHistogram(), 8),
    "a fitted PCAEmbedder": lambda: PCAEmbedder(ColorHistogram(), 8).fit(CATALOG),
    "MetricEmbedder": lambda: MetricEmbedder(ColorHistogram()),
    "FaissIndex": lambda: FaissIndex().add(VECTORS),
    "QuantizedIndex": lambda: QuantizedIndex().add(VECTORS),
    "Attributes": lambda: Attributes(CATALOG.products),
    "Popularity": lambda: Popularity().fit(HISTORY, ids=CATALOG.ids),
    "ItemKNN": lambda: ItemKNN().fit(HISTORY, ids=CATALOG.ids),
    "Complements": lambda: Complements().fit(baskets(), CATALOG, VECTORS),
    "Profiles": lambda: Profiles(Popularity()).fit(HISTORY, ids=CATALOG.ids),
    "UserProfile": first_profile,
    "an unknown UserProfile": lambda: user_profile(HISTORY.events[:0]),
    "Feedback": lambda: Feedback("sqlite://"),
    "ProductMap": lambda: ProductMap(CATALOG.ids, VECTORS, VECTORS[:, :2]),
    "Observed": lambda: observe(CATALOG),
    "Drift": shown_drift,
    "Workspace": lambda: Workspace(CATALOG),
}
MADE["Recommender, not fitted"] = lambda: Recommender(image=ColorHistogram())
MADE |= {f"{kind.__name__}, not fitted": kind for kind in UNFITTED}


@pytest.mark.parametrize("name", MADE)
def test_an_object_shows_itself(name):
    shown = MADE[name]()
    start = time.perf_counter()
    text, show_html = repr(shown), getattr(shown, "_repr_html_", None)
    page = show_html() if show_html else ""
    took = time.perf_counter() - start
    assert took < 0.5, f"to show it takes {took:.1f} s"
    assert " object at 0x" not in text and "array([" not in text and "b'\\x" not in text
    assert len(text) < 1500 and len(text.splitlines()) < 30 and text.strip()
    assert EVIL not in (page or "") and "object at 0x" not in (page or "")
    assert repr(shown) == text  # to look changes nothing


@pytest.mark.parametrize("kind", UNFITTED)
def test_what_is_not_fitted_says_what_to_do(kind):
    unfitted = kind()
    said = "call `add`" if kind in (FaissIndex, QuantizedIndex) else "call `fit`"
    assert said in repr(unfitted) and "call `fit`" in repr(MADE["Recommender, not fitted"]())
    page = getattr(unfitted, "_repr_html_", lambda: said)()
    assert said in page.replace("&#x27;", "'")


WITH_A_PAGE = (
    "Catalog, Product, Sides, Audit, History, Report, Tried, Recommender, Hits, MinScore, "
    "Complements, Profiles, UserProfile, ProductMap, Drift, Observed, Workspace, ItemKNN"
)


@pytest.mark.parametrize("name", WITH_A_PAGE.split(", "))
def test_tables_and_pictures_are_html(name):
    assert MADE[name]()._repr_html_().startswith("<")


def test_a_product_is_a_series_with_its_picture():
    product = CATALOG[CATALOG.ids[3]]
    assert isinstance(product, pd.Series) and isinstance(product, Product)
    assert product["price"] == 4.5 and product.name == CATALOG.ids[3]
    assert product._repr_html_().count("data:image/jpeg;base64") == 1
    assert "a picture of" in repr(product) and "note" not in repr(product)
    assert type(product.drop("price")) is pd.Series
    again = pickle.loads(pickle.dumps(product))
    assert again.equals(product) and "<table" in again._repr_html_()


def test_a_drift_says_how_many_signals_changed():
    text = repr(shown_drift())
    assert text.startswith("Drift: 0 of ") and "40 new products beside 40" in text


def test_a_query_says_what_is_asked_and_no_more():
    text = repr(Query(text="red mug", diversity=0.5))
    assert text == "Query(k=5, text='red mug', diversity=0.5)"
    assert repr(MADE["Query"]()) == f"Query(k=3, id={CATALOG.ids[0]!r}, image=1 picture)"
    assert "where=a mask or a function" in repr(MADE["Query with a function"]())


def test_what_runs_says_its_state(tmp_path):
    live = LiveRecommender(recommender(), "sqlite://")
    assert "not open: call `open`" in repr(live)
    log = ChangeLog(f"sqlite:///{tmp_path / 'log.db'}")
    assert "0 products" in repr(log)
    versions = Versions(tmp_path)
    assert "versions" in repr(versions) and versions._repr_html_().startswith("<")
    assert "0 waiting" in repr(MicroBatcher(lambda items: items))
