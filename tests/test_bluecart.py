"""The BlueCart client against a real server on this machine that
misbehaves as told.
"""

import email.utils
import json
import logging
import multiprocessing
import time
import traceback
import warnings
from concurrent.futures import ThreadPoolExecutor

import pandas as pd
import pytest
from scripted import cache, server

from prodrec.data import downloads
from prodrec.data.bluecart import BlueCart, BlueCartError, to_catalog

__all__ = ["cache", "server"]  # fixtures

KEY = "k3y/with+odd=signs"


def client(server, **options):
    defaults = {
        "base_url": server.url,
        "per_second": 1000,
        "first_wait": 0.001,
        "timeout": (10, 10),
    }
    return BlueCart(KEY, **(defaults | options))


def item(n, **product):
    return {
        "position": n,
        "product": {
            "title": f"Item {n}",
            "item_id": str(n),
            "main_image": f"https://p.example/{n}.jpg",
            "brand": "Acme",
        }
        | product,
        "offers": {"primary": {"price": float(n), "currency_symbol": "$"}},
    }


def page(items, number=1, following=None, **more):
    pagination = {"current_page": number} | ({} if following is None else {"next_page": following})
    info = {"success": True, "credits_used": number, "credits_remaining": 100 - number}
    return {
        "request_info": info,
        "search_results": items,
        "category_results": items,
        "pagination": pagination,
    } | more


def pages(total, per_page=2):
    "A script of `total` pages that name the next one, except the last."

    def answer(query):
        number = int(query.get("page", 1))
        items = [item(number * 10 + i) for i in range(per_page)]
        return 200, page(items, number, number + 1 if number < total else None)

    return answer


# ---- paging


@pytest.mark.parametrize(
    "max_pages, requests, products", [(1, 1, 2), (2, 2, 4), (3, 3, 6), (9, 3, 6), (None, 3, 6)]
)
def test_paging_stops_where_it_should(server, max_pages, requests, products):
    server.script["/request"] = pages(3)
    c = client(server)
    assert len(c.search("tent", max_pages=max_pages)) == products
    assert server.seen["/request"] == requests == c.paid
    assert server.queries[0] == {
        "api_key": KEY,
        "type": "search",
        "search_term": "tent",
        "page": "1",
    }


@pytest.mark.parametrize(
    "pagination, requests",
    [
        ({}, 1),
        (None, 1),
        ("broken", 1),
        ({"current_page": 1, "next_page": 1}, 1),
        ({"current_page": 1, "next_page": "2"}, 1),
        ({"current_page": 1, "total_pages": 1}, 1),
        ({"current_page": 1, "total_pages": 3}, 3),
        ({"current_page": 1, "next_page": 2}, 2),
    ],
)
def test_any_pagination_ends(server, pagination, requests):
    server.script["/request"] = [(200, page([item(1)]) | {"pagination": pagination})]
    client(server).search("tent", max_pages=None)
    assert server.seen["/request"] == requests


def test_an_empty_page_is_the_last(server):
    server.script["/request"] = lambda q: (
        200,
        page([item(1)] if q["page"] == "1" else [], int(q["page"]), int(q["page"]) + 1),
    )
    assert len(client(server).search("tent", max_pages=None)) == 1
    assert server.seen["/request"] == 2


def test_pages_must_be_positive(server):
    with pytest.raises(
        ValueError, match="`max_pages` must be at least 1, or None for all, received 0"
    ):
        client(server).search("tent", max_pages=0)
    assert not server.seen


# ---- failures


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_passing_failures_are_tried_again(server, status):
    server.script["/request"] = [
        (status, b"<html>busy</html>"),
        (status, b""),
        (200, page([item(1)])),
    ]
    c = client(server)
    assert len(c.search("tent")) == 1
    assert server.seen["/request"] == 3 and c.paid == 1


@pytest.mark.parametrize("status", [301, 400, 401, 402, 403, 404])
def test_lasting_failures_are_not(server, status):
    answer = {"request_info": {"success": False, "message": f"no, {KEY} will not do"}}
    server.script["/request"] = [(status, answer, {"Location": "/elsewhere"})]
    with pytest.raises(BlueCartError, match=rf"{status} no, \*\*\* will not do") as e:
        client(server).search("tent")
    assert e.value.status == status and sum(server.seen.values()) == 1


def test_retries_are_counted(server):
    server.script["/request"] = [(500, b"")]
    with pytest.raises(BlueCartError, match="500"):
        client(server, retries=2).search("tent")
    assert server.seen["/request"] == 3


def test_success_false_is_told_and_not_kept(server):
    server.script["/request"] = [
        (200, {"request_info": {"success": False, "message": "out of credits"}}),
        (200, page([item(1)])),
    ]
    c = client(server)
    with pytest.raises(BlueCartError, match="not successful: out of credits"):
        c.search("tent")
    assert server.seen["/request"] == 1 and c.paid == 0
    assert len(c.search("tent")) == 1


@pytest.mark.parametrize(
    "body", [b"<html>proxy</html>", b"", b'{"request_info": {', b"[1]", b"\xff\xfe"]
)
def test_an_answer_that_is_no_json_is_asked_for_again(server, body):
    server.script["/request"] = [(200, body), (200, page([item(1)]))]
    assert len(client(server).search("tent")) == 1
    assert server.seen["/request"] == 2


def test_timeouts_are_tried_again(server):
    def hang(handler):
        time.sleep(3)

    server.script["/request"] = [(200, hang), (200, page([item(1)]))]
    assert len(client(server, timeout=(10, 1)).search("tent")) == 1
    assert server.seen["/request"] == 2


def test_a_connection_cut_in_the_middle_is_tried_again(server):
    def cut(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        handler.wfile.write(b'{"request_info"')
        handler.wfile.flush()
        handler.close_connection = True

    server.script["/request"] = [(200, cut), (200, page([item(1)]))]
    assert len(client(server).search("tent")) == 1
    assert server.seen["/request"] == 2


def test_results_of_another_shape_are_an_error(server):
    server.script["/request"] = [(200, page({"item_results": {}}))]
    with pytest.raises(BlueCartError, match="`search_results` is a dict, a list is expected"):
        client(server).search("tent")


# ---- waiting


def waits(monkeypatch):
    "What the client asks its pace to hold, without the waiting."
    held = []
    monkeypatch.setattr(downloads.Pace, "hold", lambda self, seconds: held.append(seconds))
    return held


def test_retry_after_is_honoured_as_seconds_and_as_date(server, monkeypatch):
    held = waits(monkeypatch)
    date = email.utils.formatdate(time.time() + 30, usegmt=True)
    server.script["/request"] = [
        (429, b"", {"Retry-After": "17"}),
        (503, b"", {"Retry-After": date}),
        (200, page([item(1)])),
    ]
    client(server, first_wait=1).search("tent")
    assert held[0] == 17 and 27 < held[1] <= 30


@pytest.mark.parametrize("said", [None, "soon", "-3", "", "Wed, 99 Foo"])
def test_without_a_usable_retry_after_the_wait_doubles(server, monkeypatch, said):
    held = waits(monkeypatch)
    server.script["/request"] = [(429, b"", {} if said is None else {"Retry-After": said})] * 4 + [
        (200, page([item(1)]))
    ]
    client(server, first_wait=1).search("tent")
    assert [1 <= 2 * w / 2**n <= 2 for n, w in enumerate(held)] == [True] * 4


def test_the_wait_has_an_end(server, monkeypatch):
    held = waits(monkeypatch)
    server.script["/request"] = [(500, b"")]
    with pytest.raises(BlueCartError):
        client(server, retries=9, first_wait=1, max_wait=3).search("tent")
    assert len(held) == 9 and max(held) == 3
    server.script["/request"] = [(429, b"", {"Retry-After": "3600"})]
    before = server.seen["/request"]
    with pytest.raises(BlueCartError, match="asks to wait 3600 seconds, more than `max_wait`"):
        client(server).search("kayak")
    assert server.seen["/request"] == before + 1


def test_the_rate_is_kept_from_several_threads(server):
    server.script["/request"] = pages(99)
    c = client(server, per_second=50, cache=False)
    start = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: c.request(type="search", page=n), range(1, 13)))
    assert time.monotonic() - start >= 11 / 50  # twelve starts have eleven gaps of a fiftieth


@pytest.mark.parametrize("per_second", [0, -1])
def test_a_rate_must_be_positive(per_second):
    with pytest.raises(ValueError, match="`per_second` must be above 0"):
        BlueCart("k", per_second=per_second)


# ---- the cache


def test_an_answer_is_paid_once(server, tmp_path):
    server.script["/request"] = pages(2)
    first, second = client(server), client(server)
    assert (
        first.search("tent", max_pages=None)
        == second.search("tent", max_pages=None)
        == first.search("tent", max_pages=2)
    )
    assert server.seen["/request"] == 2
    assert (first.paid, first.from_cache, second.paid, second.from_cache) == (2, 2, 0, 2)
    first.search("tent", sort_by="new")
    first.search("Tent")
    assert server.seen["/request"] == 4
    client(server, cache=tmp_path / "other").search("tent")
    client(server, cache=False).search("tent")
    client(server, cache=False).search("tent")
    assert server.seen["/request"] == 7


def test_another_key_gets_the_same_answer(server):
    server.script["/request"] = pages(1)
    client(server).search("tent")
    BlueCart("another-key", base_url=server.url).search("tent")
    assert server.seen["/request"] == 1


@pytest.mark.parametrize(
    "damage",
    [
        lambda f: f.write_bytes(f.read_bytes()[:50]),
        lambda f: f.write_text("null"),
        lambda f: f.write_text('{"request": 1}'),
        lambda f: f.write_bytes(b"\xff"),
    ],
)
def test_a_damaged_file_in_the_cache_is_not_believed(server, cache, damage):
    server.script["/request"] = pages(1)
    client(server).search("tent")
    (file,) = (cache / "bluecart").glob("*.json")
    damage(file)
    assert len(client(server).search("tent")) == 2
    assert server.seen["/request"] == 2
    assert len(client(server).search("tent")) == 2
    assert server.seen["/request"] == 2


def _search_in_process(url):
    return len(BlueCart("k", base_url=url, per_second=1000).search("tent"))


def test_processes_and_threads_that_ask_at_once_pay_once(server):
    def slow(query):
        time.sleep(0.3)
        return pages(1)(query)

    server.script["/request"] = slow
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        assert pool.map(_search_in_process, [server.url] * 4) == [2] * 4
    assert server.seen["/request"] == 1
    c = client(server)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: c.search("kayak"), range(4)))
    assert server.seen["/request"] == 2 and c.from_cache == 3


# ---- the key


def test_the_key_comes_from_the_argument_or_the_environment(server, monkeypatch):
    with pytest.raises(
        ValueError,
        match="`api_key` is missing: give it, or set the environment variable BLUECART_API_KEY",
    ):
        BlueCart()
    monkeypatch.setenv("BLUECART_API_KEY", " from-environment\n")
    server.script["/request"] = pages(1)
    BlueCart(base_url=server.url).search("tent")
    assert server.queries[-1]["api_key"] == "from-environment"
    with pytest.raises(TypeError, match=r"`api_key` is given to BlueCart\(\)"):
        BlueCart().request(api_key="x")


def whole_story(e):
    "An exception with all it hangs on, as a debugger would show it."
    texts = []
    while e is not None:
        texts += traceback.format_exception(type(e), e, e.__traceback__, chain=False) + [
            repr(e),
            repr(e.args),
            repr(vars(e)),
        ]
        e = e.__context__ or e.__cause__
    return "".join(texts)


def test_the_key_is_in_nothing_that_is_shown_or_written(server, cache, caplog):
    caplog.set_level(logging.DEBUG)
    forms = [KEY, "k3y%2Fwith%2Bodd%3Dsigns", "k3y%2Fwith"]
    echo = {
        "request_parameters": {"api_key": KEY, "type": "search"},
        "request_metadata": {"url": f"https://x/request?api_key={KEY}&a=1", "note": f"key {KEY}"},
    }
    shown = []

    server.script["/request"] = [(200, page([item(1)]) | echo)]
    c = client(server)
    shown += [
        repr(c),
        json.dumps(c.request(type="search", search_term="tent")),
        repr(c.search("kayak")),
    ]

    for script in [
        (401, {"request_info": {"message": f"bad key {KEY}"}}),
        (500, f"?api_key={KEY}".encode()),
        (200, f"no json {KEY}".encode()),
    ]:
        server.script["/request"] = [script]
        with pytest.raises(BlueCartError) as e:
            client(server, retries=1).search(f"boat {script[0]}")
        shown.append(whole_story(e.value))
    server.script["/request"] = [(200, lambda handler: time.sleep(0.4))]
    for broken in [
        client(server, timeout=(1, 0.1), retries=0),
        client(server, base_url="http://127.0.0.1:9", retries=1),
        client(server, base_url="http://no host", retries=1),
    ]:
        with pytest.raises(BlueCartError) as e:
            broken.search("tent again")
        assert e.value.__context__ is None and e.value.__cause__ is None
        shown.append(whole_story(e.value))
    shown += [r.getMessage() for r in caplog.records]
    assert any(
        "api_key=***" in r.getMessage()
        for r in caplog.records
        if r.name == "urllib3.connectionpool"
    )
    shown += [f.read_text() for f in cache.rglob("*") if f.is_file()] + [
        str(f) for f in cache.rglob("*")
    ]
    assert len([f for f in cache.rglob("*.json")]) == 2
    for text in shown:
        assert not any(form in text for form in forms), text


def test_a_short_key_leaves_titles_alone(server):
    server.script["/request"] = [(200, page([item(1, title="demo of a demolition")]))]
    c = BlueCart("demo", base_url=server.url)
    assert c.search("x")[0]["product"]["title"] == "demo of a demolition"


# ---- credits, and the other methods


def test_credits_are_shown(server):
    server.script["/request"] = pages(2)
    c = client(server)
    assert (
        c.credits_used is None
        and c.credits_remaining is None
        and "credits left: unknown" in repr(c)
    )
    c.search("tent", max_pages=2)
    assert (c.credits_used, c.credits_remaining) == (2, 98)
    assert repr(c) == f"BlueCart({server.url}; 2 answers paid, 0 from the cache; credits left: 98)"
    server.script["/request"] = [(200, {"request_info": {"credits_remaining": "many"}})]
    c.search("other")
    assert c.credits_remaining == 98


def test_category_product_categories(server):
    server.script["/request"] = lambda q: (
        200,
        page([item(1)]) | {"product": {"item_id": q.get("item_id") or q.get("gtin")}},
    )
    server.script["/categories"] = [
        (
            200,
            {
                "request_info": {"success": True},
                "categories": [
                    {"id": 5, "name": "Toys", "has_children": True, "extra": 1},
                    {"name": "no id"},
                ],
            },
        ),
        (200, {}),
    ]
    c = client(server)
    assert (
        len(
            c.category(
                "5F9B", sort_by="best_seller", delivery_type=["pickup", "shipping"], in_stock=True
            )
        )
        == 1
    )
    assert server.queries[-1] == {
        "api_key": KEY,
        "type": "category",
        "category_id": "5F9B",
        "sort_by": "best_seller",
        "page": "1",
        "delivery_type": "pickup,shipping",
        "in_stock": "true",
    }
    assert c.product("77") == {"item_id": "77"} and c.product(gtin="0123") == {"item_id": "0123"}
    for wrong in ({}, {"item_id": "1", "url": "https://x"}):
        with pytest.raises(TypeError, match="give one of `item_id`, `url` and `gtin`"):
            c.product(**wrong)
    df = c.categories()
    assert (
        df.index.tolist() == ["5"]
        and df.loc["5", "name"] == "Toys"
        and df.columns.tolist() == ["name", "path", "is_root", "has_children", "extra"]
    )
    assert c.categories(parent_id="5").empty
    assert server.seen["/categories"] == 2


# ---- to a catalogue


def test_catalog_of_searches(server):
    server.script["/request"] = pages(2)
    c = client(server)
    catalog = c.catalog({"tents": "camping tent", "boats": "kayak"}, max_pages=2, sort_by="new")
    assert catalog.ids == ["10", "11", "20", "21"]  # the second search finds the same products
    assert set(catalog.products.category) == {"tents"}
    assert server.seen["/request"] == 4 and server.queries[0]["sort_by"] == "new"
    c.catalog({"tents": "5F9B"}, by="category")
    assert server.queries[-1]["type"] == "category"
    with pytest.raises(ValueError, match='`by` must be "search" or "category"'):
        c.catalog({"a": "b"}, by="product")


def test_to_catalog_with_everything():
    full = item(
        7,
        description="A&amp;B<br>C",
        rating=4.25,
        ratings_total=31,
        link="https://w.example/7",
        main_image={"link": "https://p.example/m.jpg"},
    )
    catalog = to_catalog([full], category="tents")
    assert catalog["7"].drop("image").to_dict() == {
        "title": "Item 7", "description": "A&B C", "category": "tents", "brand": "Acme", "price": 7.0, "rating": 4.25, "ratings_total": 31.0, "link": "https://w.example/7",  # noqa: E501
    }  # fmt: skip
    assert catalog["7"].image == "https://p.example/m.jpg"


@pytest.mark.parametrize(
    "product, column, value",
    [
        ({"product_id": "P1"}, "title", None),
        ({"item_id": 5}, "price", None),
        (
            {
                "item_id": "5",
                "main_image": None,
                "images": [{"link": None}, "https://p.example/b.jpg"],
            },
            "image",
            "https://p.example/b.jpg",
        ),
        ({"item_id": "5", "main_image": "n/a", "images": "https://p.example/b.jpg"}, "image", None),
        ({"item_id": "5", "buybox_winner": {"price": {"value": 3.5}}}, "price", 3.5),
        ({"item_id": "5", "buybox_winner": {"price": "$3.50"}}, "price", 3.5),
        ({"item_id": "5", "buybox_winner": [], "breadcrumbs": 3}, "category", None),
        (
            {
                "item_id": "5",
                "breadcrumbs": [{"name": "Sports"}, {"name": "Tents"}, {"link": "x"}, None],
            },
            "category",
            "Tents",
        ),
        ({"product": {"item_id": "5", "title": 17}, "offers": {"primary": None}}, "title", None),
        ({"product": {"item_id": "5"}, "offers": None}, "rating", None),
    ],
)
def test_to_catalog_with_anything_missing(product, column, value):
    (row,) = to_catalog([product]).products.to_dict("records")
    assert row[column] == value if value is not None else pd.isna(row[column])


def test_to_catalog_without_ids():
    with pytest.warns(UserWarning, match="2 of 3 results have no item_id and are left out"):
        assert to_catalog([item(1), {"product": {"title": "x"}}, "nonsense"]).ids == ["1"]
    with pytest.raises(ValueError, match="`results` has 1 products and none with an item_id"):
        to_catalog([{"product": {}}])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert to_catalog([item(1), item(1), item(2)]).ids == ["1", "2"]
