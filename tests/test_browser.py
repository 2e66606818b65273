"""What the browser does, without a browser: every click is a message, every answer a value."""

import html
import io
import re
import threading
from html.parser import HTMLParser
from importlib.resources import files

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from prodrec import Catalog, History, load_demo, load_demo_events
from prodrec.apps import browser as module
from prodrec.apps.browser import Browser
from prodrec.apps.browser_messages import HANDLERS
from prodrec.core import ImageError
from prodrec.data.pictures import MAX_UPLOAD, check_upload
from prodrec.recommend.complements import Complements
from prodrec.recommend.embedders import ColorHistogram, TfidfEmbedder
from prodrec.recommend.recommender import Recommender

N = 80


def made(catalog: Catalog, **options) -> Recommender:
    return Recommender(image=ColorHistogram((20, 16)), text=TfidfEmbedder(dim=16), **options)


@pytest.fixture(scope="module")
def catalog():
    return load_demo(n=N)


@pytest.fixture(scope="module")
def fitted(catalog, tmp_path_factory):
    path = tmp_path_factory.mktemp("shop") / "shop"
    made(catalog).fit(catalog, History(load_demo_events(n=N))).save(path)
    return path


@pytest.fixture
def recommender(fitted, tmp_path):
    return Recommender.load(fitted, feedback=f"sqlite:///{tmp_path}/feedback.sqlite")


@pytest.fixture
def plane(catalog):
    return pd.DataFrame(
        np.random.default_rng(0).random((N, 2)), index=catalog.products.index, columns=["x", "y"]
    )


def tell(browser: Browser, do: str, *buffers, **content):
    """Send a message as the page does, and return what comes back besides the view: [(content,
    buffers)].
    """
    sent = []
    browser.send = lambda content, buffers=None: sent.append((content, buffers))
    browser._handle_custom_msg({"do": do, "n": "1", **content}, [memoryview(b) for b in buffers])
    return sent


def jpeg(colour="teal", size=(40, 30)) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, colour).save(out, "JPEG")
    return out.getvalue()


# -- asking, and the way back


def test_it_answers_as_the_recommender_does(recommender, catalog):
    browser = Browser(recommender, k=5)
    assert browser.hits is None and len(browser._view["lists"][0]["cards"]) == 5
    for question in (
        {"id": catalog.ids[3]},
        {"text": "red dress"},
        {"image": jpeg()},
        {"user": "u001"},
        {"id": catalog.ids[:2], "text": "blue"},
    ):
        hits = browser.ask(**question)
        assert hits.ids == recommender.recommend(k=5, collapse=True, **question).ids
        assert [c["id"] for c in browser._view["lists"][0]["cards"]] == hits.ids
        assert browser.query == {**question, "k": 5, "collapse": True}


def test_the_trail_leads_back(recommender, catalog):
    a, b, c = catalog.ids[:3]
    browser = Browser(recommender, k=4)
    first = browser.pivot(a).ids
    browser.pivot(b)
    browser.steer(k=3)  # not a step: the question is the same
    browser.pivot(c)
    assert [q.get("id") for q in browser.trail] == [None, a, b, c]
    assert browser._view["trail"][0] == "All products"
    browser.back()
    assert browser.query == {"id": b, "k": 3, "collapse": True}
    assert browser.back(1).ids == first[:3]
    assert browser.back(0) is None
    assert browser.back() is None and browser.trail == [{}]
    with pytest.raises(ValueError, match="`to` must be from 0 to 0, received 7"):
        browser.back(7)


def test_what_cannot_be_answered_changes_nothing(recommender, catalog):
    browser = Browser(recommender, id=catalog.ids[0], k=4)
    before = (browser.query, browser.hits, browser.trail, browser._view)
    with pytest.raises(KeyError, match="no such"):
        browser.pivot("no such")
    with pytest.raises(ValueError, match="`k` must be"):
        browser.steer(k=0)
    with pytest.raises(TypeError, match="`query` holds 'colour'"):
        browser.query = {"colour": "red"}
    with pytest.raises(ValueError, match="`where` names column 'colr'"):
        browser.steer(where={"colr": "red"})
    with pytest.raises(ImageError, match="no picture; send a JPEG"):
        browser.upload(b"Dear shop")
    assert (browser.query, browser.hits, browser.trail, browser._view) == before


def test_several_at_once_and_one_less(recommender, catalog):
    a, b = catalog.ids[:2]
    browser = Browser(recommender, id=a, k=3)
    tell(browser, "ask", kind="id", value=b, add=True)
    tell(browser, "ask", kind="text", value="boots", add=True)
    tell(browser, "ask", kind="id", value=b, add=True)  # twice says no more
    assert browser.query["id"] == [a, b] and browser.query["text"] == "boots"
    assert [c["kind"] for c in browser._view["chips"]] == ["id", "id", "text"]
    tell(browser, "drop", kind="id", at=0)
    assert browser.query["id"] == b
    assert browser._view["trail"][-1] == f"{catalog[b].title} + boots"


def test_more_and_less_are_feedback(recommender, catalog):
    browser = Browser(recommender, id=catalog.ids[0], k=5, me="anna")
    good, bad = browser.hits.ids[:2]
    tell(browser, "say", id=good, event="like")
    tell(browser, "say", id=bad, event="dislike")
    assert browser.query["positive"] == [good] and browser.query["negative"] == [bad]
    assert not {good, bad} & set(browser.hits.ids)
    stored = recommender.profiles.feedback.events("anna")[["id", "event"]].values.tolist()
    assert (
        stored
        == browser.feedback[["id", "event"]].values.tolist()
        == [[good, "like"], [bad, "dislike"]]
    )
    tell(browser, "say", id=good, event="dislike")  # who changes her mind
    assert browser.query["negative"] == [bad, good] and "positive" not in browser.query
    browser.pivot(bad)  # it belonged to that question
    assert not {"positive", "negative"} & set(browser.query)
    browser.ask(user="ben")
    browser.more_like(good)
    assert browser.feedback.iloc[-1].tolist() == ["ben", good, "like"]
    with pytest.raises(KeyError):
        browser.more_like("no such")


def test_liking_without_a_question_becomes_one(recommender, catalog):
    browser = Browser(recommender, k=5)
    assert (
        browser.more_like(catalog.ids[4]).ids
        == recommender.recommend(k=5, positive=[catalog.ids[4]], collapse=True).ids
    )


# -- filters


def test_filters_come_from_the_page_and_go_to_it(recommender, catalog):
    browser = Browser(recommender, id=catalog.ids[0], k=3)
    names = {f["name"]: f for f in browser._setup["filters"]}
    shirt = names["category"]["values"].index("shirt")
    tell(
        browser,
        "steer",
        options={
            "where": {"category": [shirt], "price": [None, 120], "added": ["2024-01-01", None]}
        },
    )
    assert browser.query["where"] == {
        "category": ["shirt"],
        "price": (None, 120),
        "added": ("2024-01-01", None),
    }
    assert set(browser.hits.to_frame().category) == {"shirt"}
    assert browser._view["where"] == {
        "category": [shirt],
        "price": [None, 120.0],
        "added": ["2024-01-01", None],
    }
    rows = catalog.products.query("category == 'shirt' and price <= 120 and added >= '2024-01-01'")
    assert browser._view["total"] == len(rows) == browser.counts()[0]
    tell(browser, "steer", options={"where": {"category": [], "price": [None, None]}})
    assert "where" not in browser.query


def test_what_the_page_does_not_show_stays(recommender, catalog):
    title = catalog.products.title.iloc[5]
    browser = Browser(recommender, k=3, where={"title": title, "category": "boot"})
    tell(browser, "steer", options={"where": {"category": [0]}})
    assert browser.query["where"]["title"] == title
    for where in (catalog.products["price"] < 50, lambda products: products["price"] < 50):
        browser.steer(where=where)
        cheap = catalog.products.index[catalog.products["price"] < 50].tolist()
        assert browser.query["where"] == {"id": cheap} and browser._view["total"] == len(cheap)
        label = f"{len(cheap)} chosen products"
        assert browser._view["chips"][-1] == {
            "kind": "where",
            "at": 0,
            "label": label,
            "thumb": None,
        }
        tell(browser, "steer", options={"where": {"category": [0]}})
        assert browser.query["where"]["id"] == cheap
        tell(browser, "drop", kind="where", at=0)
        assert set(browser.query["where"]) == {"category"}


def test_a_filter_is_never_text(recommender):
    browser = Browser(recommender, k=3)
    for where in ("price < 50", "title.map.__globals__"):
        with pytest.raises(TypeError, match="text is never evaluated"):
            browser.steer(where=where)
        with pytest.raises(TypeError, match="text is never evaluated"):
            Browser(recommender, where=where)


# -- what travels


def test_bytes_arrive_as_memoryviews(recommender):
    browser = Browser(recommender, k=2)
    assert tell(browser, "upload", jpeg(), name="photo.jpg") == []
    assert browser.query["image"] == jpeg() and browser._view["chips"][0]["label"] == "photo.jpg"


def test_an_answer_is_one_trait(recommender, catalog):
    browser, states = Browser(recommender, k=3), []
    browser.send_state = lambda key=None: states.append(key)
    for do, content in [
        ("ask", {"kind": "id", "value": catalog.ids[1]}),
        ("steer", {"options": {"k": 2}}),
        ("say", {"id": catalog.ids[5], "event": "like"}),
        ("back", {}),
    ]:
        states.clear()
        assert tell(browser, do, **content) == []
        assert states == ["_view"]


def test_an_answer_is_small(recommender, catalog):
    browser = Browser(recommender, id=catalog.ids[0], k=12)
    thumbs = sum(len(c["thumb"] or b"") for c in browser._view["lists"][0]["cards"])
    assert 0 < thumbs < 12 * 8_000


def test_messages_from_threads_come_one_at_a_time(recommender, catalog):
    plt.close("all")  # figures of other tests
    browser = Browser(recommender, k=3)
    errors = []
    browser.send = lambda content, buffers=None: (
        errors.append(content) if content["kind"] == "error" else None
    )

    def click(ids):
        for i in ids:
            browser._received(browser, {"do": "ask", "kind": "id", "value": i, "n": i}, [])

    threads = [
        threading.Thread(target=click, args=(catalog.ids[n : n + 10],)) for n in (0, 10, 20, 30)
    ]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert not errors and len(browser.trail) == 41
    assert [c["id"] for c in browser._view["lists"][0]["cards"]] == browser.hits.ids
    assert browser.hits.ids == recommender.recommend(**browser.query).ids
    assert not plt.get_fignums()  # pyplot belongs to the main thread


def test_errors_are_words(recommender, catalog):
    browser = Browser(recommender, k=3)
    for do, content, words in [
        ("ask", {"kind": "id", "value": "no such"}, "no such"),
        ("ask", {"kind": "text", "value": "xyzzy"}, "no known word"),
        ("ask", {"kind": "image", "value": "lost.jpg"}, "no file 'lost.jpg'"),
        ("ask", {"kind": "image", "value": "http://127.0.0.1:9/x.jpg"}, "127.0.0.1"),
        (
            "steer",
            {"options": {"where": {"price": [90, 10]}}},
            "The lower end of price lies above its upper end.",
        ),
        ("nonsense", {}, "nonsense"),
    ]:
        ((content, _),) = tell(browser, do, **content)
        assert content["kind"] == "error" and content["n"] == "1" and words in content["text"]
    ((content, _),) = tell(browser, "upload", b"Dear shop", name="letter.jpg")
    assert (
        content["text"]
        == "This picture cannot be used: this is no picture; send a JPEG, PNG or WebP."
    )
    assert browser.hits is None and browser.trail == [{}]


def test_strangers_name_no_files(recommender, tmp_path):
    (tmp_path / "own.jpg").write_bytes(jpeg())
    asked = {"kind": "image", "value": str(tmp_path / "own.jpg")}
    ((content, _),) = tell(Browser(recommender, paths=False), "ask", **asked)
    assert "Upload the picture instead" in content["text"]
    assert tell(Browser(recommender), "ask", **asked) == []


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_pictures_are_taken(kind):
    out = io.BytesIO()
    Image.new("RGB", (64, 48), "teal").save(out, kind)
    assert check_upload(out.getvalue()).shape == (48, 64, 3)


def test_what_is_no_picture_is_refused():
    animation, bomb, frames = (
        io.BytesIO(),
        io.BytesIO(),
        [Image.new("RGB", (20, 20), c) for c in ("red", "blue")],
    )
    frames[0].save(animation, "WEBP", save_all=True, append_images=frames[1:])
    Image.new("1", (13_000, 13_000)).save(bomb, "PNG")
    for data, words in [
        (b"", "no picture"), (b"GIF89a" + bytes(50), "a GIF file"), (b"<svg></svg>", "no picture"), (jpeg()[:-200], "truncated"),  # noqa: E501
        (animation.getvalue(), "an animation"), (bomb.getvalue(), "more than 40,000,000 pixels"), (jpeg(size=(4, 90)), "too few"),  # noqa: E501
        (bytes(MAX_UPLOAD + 1), "at most 10,000,000"),
    ]:  # fmt: skip
        with pytest.raises(ImageError, match=words):
            check_upload(data)


# -- what can be read and set


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_the_code_answers_the_same(fitted, data):
    recommender = Recommender.load(fitted)
    ids = recommender.catalog.ids
    some = st.lists(st.sampled_from(ids), min_size=1, max_size=2, unique=True)
    options = {
        "id": some, "k": st.integers(1, 8), "where": st.sampled_from([{"category": ["boot", "cap"]}, {"price": (None, 80)}, lambda t: t["price"] < 70]),  # noqa: E501
        "min_score": st.sampled_from([0.0, 0.3]), "diversity": st.sampled_from([0.0, 0.4]), "weights": st.just({"image": 0.2, "text": 0.8}),  # noqa: E501
        "collapse": st.booleans(), "exclude": some,
    }  # fmt: skip
    chosen = {"id": data.draw(some)} | {
        k: data.draw(s) for k, s in options.items() if data.draw(st.booleans())
    }
    browser = Browser(recommender, **chosen)
    again = eval(browser.code(), {"recommender": recommender})
    assert again.ids == browser.hits.ids
    np.testing.assert_array_equal(again.scores, browser.hits.scores)


def test_traits_can_be_set_and_observed(recommender, catalog, plane):
    browser, seen = Browser(recommender, map=plane, k=3), []
    browser.observe(
        lambda change: seen.append(change["name"]), names=["query", "hits", "selection"]
    )
    browser.query = {"id": catalog.ids[2], "k": 4}
    assert sorted(seen) == ["hits", "query"]
    own = recommender.recommend(k=2, text="blue")
    browser.hits = own
    assert [c["id"] for c in browser._view["lists"][0]["cards"]] == own.ids
    browser.selection = (catalog.ids[9], catalog.ids[1], catalog.ids[9])
    assert browser.selection == (catalog.ids[9], catalog.ids[1])
    assert [c["id"] for c in browser._view["selection"]["cards"]] == list(browser.selection)
    assert np.frombuffer(browser._view["selection"]["at"], np.uint32).tolist() == [9, 1]
    with pytest.raises(TypeError, match="`hits` must be Hits or None"):
        browser.hits = [1]
    with pytest.raises(KeyError, match="no such"):
        browser.selection = ("no such",)


def test_what_the_classifier_sees(recommender, catalog):
    class Sure:
        classes_ = ["boot", "cap", "mug"]

        def predict_proba(self, pictures):
            assert pictures == [jpeg()]
            return np.array([[0.2, 0.7, 0.1]], np.float32)

    browser = Browser(recommender, classifier=Sure(), k=2)
    assert browser.prediction() is None
    browser.upload(jpeg())
    assert browser.prediction(2).label.tolist() == ["cap", "boot"]
    assert [p["label"] for p in browser._view["prediction"]] == ["cap", "boot", "mug"]
    browser.pivot(catalog.ids[0])
    assert browser._view["prediction"] == []


def test_two_side_by_side(recommender, catalog):
    words = Recommender(text=TfidfEmbedder(dim=16)).fit(catalog)
    browser = Browser(recommender, compare=words, id=catalog.ids[1], k=5)
    assert browser.compared.ids == words.recommend(k=5, id=catalog.ids[1], collapse=True).ids
    first, second = browser._view["lists"]
    assert [c["id"] for c in second["cards"]] == browser.compared.ids
    assert {c["id"] for c in first["cards"] if c["both"]} == set(browser.hits.ids) & set(
        browser.compared.ids
    )
    browser.upload(jpeg())  # what the second cannot answer it says in its own place
    assert (
        "picture" in browser._view["lists"][1]["note"]
        and browser.compared is None
        and len(browser.hits) == 5
    )
    assert browser.code().splitlines()[1].startswith("other.recommend(")


def test_copies_fold_and_relations_part(recommender, catalog):
    browser = Browser(recommender, id=catalog.ids[0], k=4)
    hits = browser.hits
    hits.duplicates[1] = [catalog.ids[40], catalog.ids[41]]
    browser.hits = None
    browser.hits = hits
    assert [c["id"] for c in browser._view["lists"][0]["cards"][1]["copies"]] == catalog.ids[40:42]
    table = hits.to_frame().assign(
        relation=["substitute", "complement", "substitute", "complement"]
    )
    hits.to_frame = lambda: table
    browser.hits = None
    browser.hits = hits
    instead, with_it = browser._view["lists"]
    assert (instead["name"], with_it["name"]) == ("Instead of it", "Goes with it")
    assert [c["id"] for c in with_it["cards"]] == [hits.ids[1], hits.ids[3]]


def test_what_goes_with_a_product_stands_apart(recommender, catalog):
    vectors = recommender.index.take()
    goes = Complements(rank=4).fit(History(load_demo_events(n=N)), catalog, vectors)
    asked = next(i for i in catalog.ids if len(goes.recommend(i, 6)))
    browser = Browser(recommender, complements=goes, id=asked, k=4)
    like, with_it = browser._view["lists"]
    assert (like["name"], with_it["name"]) == ("Like it", "Goes with it")
    assert [c["id"] for c in with_it["cards"]] == goes.recommend(asked, 4).ids
    assert all(0 <= sum(c["parts"].values()) <= 1 + 1e-6 for c in with_it["cards"])
    browser.ask(text="boots")  # nothing goes with words
    assert [one["name"] for one in browser._view["lists"]] == [None]


def test_customers_are_found(recommender):
    browser = Browser(recommender, k=2)
    assert browser._setup["users"] and "history" in browser._setup["weights"]
    ((content, _),) = tell(browser, "find", text="u00")
    assert content["users"] == [u for u in recommender.profiles.history.users if "u00" in u][:3]
    tell(browser, "ask", kind="user", value="u001")
    assert browser.hits.ids == recommender.recommend(k=2, user="u001", collapse=True).ids


def test_search(recommender, catalog):
    browser = Browser(recommender, k=2)
    ((content, thumbs),) = tell(browser, "find", text="boot")
    ids = [p["id"] for p in content["products"]]
    assert ids == browser.find("boot", 6) and all(
        "boot" in f"{catalog[i].title} {catalog[i].category}".lower() for i in ids
    )
    assert len(thumbs) == len(ids) and content["text"] == "boot"
    assert browser.find(catalog.ids[5]) == [catalog.ids[5]]


def test_a_catalogue_that_grows(catalog, tmp_path):
    recommender = made(catalog).fit(catalog[catalog.ids[:50]])
    browser = Browser(recommender, k=3)
    recommender.add(catalog[catalog.ids[50:]])
    browser.pivot(catalog.ids[60])
    assert browser._setup["n"] == N and browser._view["total"] == N


# -- the map


def test_the_map_travels_as_numbers(recommender, catalog, plane):
    shuffled = plane.sample(frac=1, random_state=0).iloc[:70].rename_axis("id").reset_index()
    browser = Browser(recommender, map=shuffled, k=3)
    ((content, (codes, points)),) = tell(browser, "map", column="category")
    np.testing.assert_array_equal(
        np.frombuffer(points, np.float32).reshape(-1, 2), shuffled[["x", "y"]].to_numpy(np.float32)
    )
    assert len(codes) == 70 and len(content["labels"]) <= 12
    category = catalog.products.category.loc[shuffled.id]
    for code, label in enumerate(content["labels"][:8]):
        assert set(category[np.frombuffer(codes, np.uint8) == code]) == {label}
    ((content, (thumb,)),) = tell(browser, "peek", at=7)
    assert content["id"] == shuffled.id[7] and (thumb[:2] == b"\xff\xd8" or not thumb)
    tell(browser, "select", np.array([3, 5], np.uint32).tobytes())
    assert browser.selection == tuple(shuffled.id[[3, 5]])
    tell(browser, "select")
    assert browser.selection == ()
    tell(browser, "ask", kind="at", value=7)
    assert browser.query["id"] == shuffled.id[7]


def test_a_map_of_something_else_is_refused(recommender, plane):
    with pytest.raises(ValueError, match="knows none of the recommender's products"):
        Browser(recommender, map=plane.set_axis([f"x{i}" for i in range(N)]))
    with pytest.raises(TypeError, match="`map` must be a DataFrame"):
        Browser(recommender, map=[1, 2])
    with pytest.raises(ValueError, match="not fitted: call `fit` or `load` first"):
        Browser(Recommender(image=ColorHistogram()))


# -- without a kernel


class Tags(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.found, self.text = [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, {a for a, _ in attrs}))

    def handle_data(self, data):
        self.text += data


@pytest.mark.parametrize("asked", [True, False])
def test_a_table_stands_where_no_kernel_runs(catalog, asked):
    nasty = "</table><script>alert('x')</script>"
    bad = Catalog(catalog.products.assign(title=nasty, category=nasty))
    recommender = Recommender(image=ColorHistogram((20, 16))).fit(bad)
    browser = Browser(recommender, k=30, **({"id": bad.ids[0]} if asked else {}))
    data, _ = browser._repr_mimebundle_()
    assert set(data) == {"application/vnd.jupyter.widget-view+json", "text/html", "text/plain"}
    tags = Tags(data["text/html"])
    assert {t for t, _ in tags.found} <= {"p", "table", "tr", "td", "img", "br", "small", "i"}
    assert {a for t, attrs in tags.found for a in attrs} <= {
        "width",
        "height",
        "alt",
        "src",
        "align",
        "valign",
    }
    assert 12 < sum(t == "td" for t, _ in tags.found) <= 24
    assert nasty[:30] in html.unescape(tags.text) and len(data["text/html"]) < 120_000
    assert data["text/plain"].startswith(f"Browser({N} products; ")


def test_to_show_it_never_fails(recommender, monkeypatch):
    browser = Browser(recommender, k=3)
    monkeypatch.setattr(module, "static_table", lambda *a, **k: 1 / 0)
    monkeypatch.setattr(module, "python_literal", lambda *a: {}["<gone>"])
    data, _ = browser._repr_mimebundle_()
    assert data["text/html"] == "Browser: ZeroDivisionError: division by zero"
    assert data["text/plain"] == repr(browser) == "Browser: <gone>"
    browser.state = None
    assert browser._repr_html_().startswith("Browser: ")


# -- what is shipped beside the Python


def shipped(name: str) -> str:
    return files("prodrec.apps").joinpath("widget", name).read_text(encoding="utf-8")


def test_styles_stay_in_the_widget():
    css = re.sub(r"/\*.*?\*/", "", shipped("widget.css"), flags=re.DOTALL)
    css = re.sub(r"@keyframes prodrec-[\w-]+ \{(?:[^{}]|\{[^{}]*\})*\}", "", css)
    assert "@keyframes" not in css and "@import" not in css and "url(" not in css
    heads = [head.strip() for head in re.findall(r"([^{}]+)\{", css)]
    selectors = [
        s.strip()
        for head in heads
        if not head.startswith("@")
        for s in re.split(r",(?![^(]*\))", head)
    ]
    assert len(selectors) > 100
    assert not [s for s in selectors if not re.match(r"\.prodrec-browser(?![\w-])", s)]
    assert all(re.match(r"@(media|container)\b", head) for head in heads if head.startswith("@"))


def test_the_page_takes_text_as_text_and_fetches_nothing():
    js = module.widget_script()
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|\bfetch\(|XMLHttpRequest|\bimport\b",  # noqa: E501
        js,
    )
    assert set(re.findall(r"https?://[\w./-]+", js)) == {"http://www.w3.org/2000/svg"}


def test_the_page_knows_every_message():
    "What the page sends has a handler, and what has a handler is sent."
    sent = set(re.findall(r"\bdo: \"(\w+)\"", module.widget_script()))
    assert sent == set(HANDLERS)
