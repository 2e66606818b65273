"The server as clients meet it: over real sockets, with what strangers send, killed at any moment."

import contextlib
import io
import json
import os
import random
import signal
import socket
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import numpy as np
import pandas as pd
import pytest
import requests
from PIL import Image

from prodrec import History, Markov, Recommender, load_demo
from prodrec.recommend.embedders import ColorHistogram, TfidfEmbedder

pytest.importorskip("fastapi", reason="`pip install prodrec[serve]` to test the server")
from serving import (
    KEY,
    KILLS,
    asked_meanwhile,
    born,
    catalog,
    check_all,
    folder,
    killed_after,
    mother,
    page_driver,
    picture,
    put,
    serving,
    write_until_dead,
)
from sheet import launched

from prodrec.apps.live import ChangeLog, LiveRecommender
from prodrec.apps.server import make_app
from prodrec.core import ImageError

__all__ = ["catalog", "folder", "mother"]  # fixtures


@pytest.fixture(scope="module")
def shop(folder, tmp_path_factory):
    database = f"sqlite:///{tmp_path_factory.mktemp('shop')}/shop.sqlite"
    with serving(folder, database=database, api_key="secret", max_body=300_000, patience=1.5) as (
        url,
        shop,
    ):
        yield url, shop


def animation(kind: str) -> bytes:
    frames = [Image.new("RGB", (20, 20), c) for c in ("red", "blue")]
    frames[0].save(out := io.BytesIO(), kind, save_all=True, append_images=frames[1:])
    return out.getvalue()


def bomb() -> bytes:
    "A PNG of 13,000 x 13,000 pixels in some twenty kilobytes."

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")
        )

    head = (13_000).to_bytes(4, "big") * 2 + bytes([1, 0, 0, 0, 0])
    rows = zlib.compress(bytes(1_626) * 13_000, 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


# -- what it answers


def test_every_answer_is_what_the_recommender_says(shop, catalog):
    url, inner = shop
    asked = catalog.ids[3]
    ways = [
        {"id": asked},
        {"text": "cotton tee"},
        {"id": asked, "text": "wool"},
        {"user": "nobody"},
    ]
    for way in ways:
        hits = requests.post(f"{url}/recommend", data=way | {"k": 4}).json()["hits"]
        assert [h["id"] for h in hits] == inner.recommender.recommend(k=4, **way).ids, way
    seen = requests.post(
        f"{url}/recommend", files={"image": catalog.open(asked)}, data={"k": 4}
    ).json()
    assert [h["id"] for h in seen["hits"]] == inner.recommender.recommend(
        k=4, image=catalog.open(asked)
    ).ids
    assert seen["version"] == requests.get(f"{url}/ready").json()["version"]


def test_filters_thresholds_and_diversity_travel(shop, catalog):
    url, inner = shop
    where = {
        "department": catalog.products.department.mode().tolist(),
        "price": {"from": 10, "to": 200},
    }
    data = {"id": catalog.ids[0], "k": 50, "where": json.dumps(where)}
    hits = requests.post(f"{url}/recommend", data=data).json()["hits"]
    wanted = {"department": where["department"], "price": (10, 200)}
    assert [h["id"] for h in hits] == inner.recommender.recommend(
        k=50, id=catalog.ids[0], where=wanted
    ).ids
    assert hits and all(10 <= h["price"] <= 200 for h in hits)
    few = requests.post(
        f"{url}/recommend", data={"id": catalog.ids[0], "k": 50, "min_score": 0.9}
    ).json()["hits"]
    assert all(h["score"] >= 0.9 for h in few) and len(few) < len(catalog) - 1


def test_products_can_be_looked_at(shop, catalog):
    url, inner = shop
    page = requests.get(f"{url}/products", params={"offset": 5, "limit": 3}).json()
    assert [p["id"] for p in page["products"]] == inner.recommender.catalog.ids[5:8]
    one = requests.get(f"{url}/products/{catalog.ids[2]}").json()
    assert one["title"] == catalog.products.title[catalog.ids[2]] and "image" not in one
    seen = Image.open(io.BytesIO(requests.get(f"{url}/products/{catalog.ids[2]}/picture").content))
    assert seen.format == "JPEG" and max(seen.size) <= 320
    assert requests.get(f"{url}/products/none").status_code == 404
    assert requests.get(f"{url}/products/none/picture").status_code == 404


def test_state_metrics_and_document(shop):
    url, _ = shop
    assert requests.get(f"{url}/health").json() == {"status": "alive"}
    requests.post(f"{url}/recommend", data={"text": "cotton"})
    lines = requests.get(f"{url}/metrics").text.splitlines()
    assert any(
        x.startswith('prodrec_requests_total{path="/recommend",status="200"}') for x in lines
    )
    assert any(
        x.startswith('prodrec_together_bucket{le="1.0",path="/recommend"}') and x[-3:] != "0.0"
        for x in lines
    )
    document = requests.get(f"{url}/openapi.json").json()
    assert {"/recommend", "/classify", "/products", "/products/{id}", "/feedback"} <= set(
        document["paths"]
    )
    assert "422" in document["paths"]["/recommend"]["post"]["responses"]
    assert requests.get(f"{url}/docs").ok  # a page of our own, see below
    assert (
        requests.post(f"{url}/classify", files={"image": picture()}).status_code == 503
    )  # saved without a classifier


def test_the_page_loads_nothing_from_elsewhere(shop):
    url, _ = shop
    page = requests.get(url)
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    for file in ("", "page.js", "words.js", "page.css", "docs", "docs.js"):
        text = requests.get(f"{url}/{file}").text
        assert "http://" not in text and "https://" not in text


# -- what strangers send


@pytest.mark.parametrize(
    "data, status, says",
    [
        (b"GIF89a" + bytes(50), 415, "GIF"),
        (b"hello, I am a picture", 415, "no picture"),
        (b"", 415, "no picture"),
        (picture()[:300], 415, "picture"),
        (picture(kind="PNG")[:90], 415, "picture"),
        (picture(kind="WEBP")[:60], 415, "picture"),
        (animation("WEBP"), 415, "animation"),
        (animation("PNG"), 415, "animation"),
        (animation("GIF"), 415, "GIF"),
        (b"<svg onload='alert(1)'/>", 415, "no picture"),
        (picture((4, 4)), 415, "too few"),
        (bomb(), 413, "pixels"),
    ],
    ids="gif text empty truncated half-png half-webp webp-frames png-frames gif-frames svg tiny bomb".split(),  # noqa: E501
)
def test_pictures_that_are_none(shop, data, status, says):
    answer = requests.post(f"{shop[0]}/recommend", files={"image": ("a.jpg", data, "image/jpeg")})
    assert answer.status_code == status and says in answer.json()["detail"], answer.text


@pytest.mark.parametrize(
    "form",
    [
        {"k": "0"},
        {"k": "many"},
        {"where": "{"},
        {"where": "[1]"},
        {"where": '{"shelf": 1}'},
        {"where": "price < 5"},
        {"where": "title == '''a'b''' or title.map.__globals__"},
        {"where": '"price < 5"'},
        {"where": '{"prize": [5, 20]}'},
        {"where": '{"price": {"from": "a"}}'},
        {"where": '{"price": {"from": [1]}}'},
        {"where": '{"price": {"from": ' + "9" * 400 + "}}"},
        {"where": '{"price": ' + "9" * 5_000 + "}"},
        {"where": '{"price": NaN}'},
        {"where": '{"category": [["a"]]}'},
        {"where": '{"category": {"from": 1}}'},
        {"where": "[" * 9_000},
        {"within": "shelf"},
        {"collapse": "7"},
        {"user": "a\0b"},
        {"min_score": "2"},
        {},
        {"diversity": "nan"},
    ],
)
def test_questions_that_cannot_be_answered(shop, form):
    asked = form if not form else {"text": "cotton"} | form
    answer = requests.post(f"{shop[0]}/recommend", data=asked)
    assert answer.status_code == 422 and set(answer.json()) == {"code", "detail"}, answer.text


def test_no_path_and_no_address_is_opened(shop):
    for name in ("/etc/passwd", "http://127.0.0.1:9/a.jpg", "file:///etc/passwd"):
        assert requests.post(f"{shop[0]}/recommend", data={"image": name}).status_code == 422
        made = put(shop[0], "sly", {"title": "cotton tee", "image": name})
        assert (
            made.status_code == 200
            and requests.get(f"{shop[0]}/products/sly/picture").status_code == 404
        )
    requests.delete(f"{shop[0]}/products/sly", headers=KEY)


def test_a_body_is_cut_off_however_it_comes(shop):
    large = bytes(400_000)
    assert requests.post(f"{shop[0]}/recommend", files={"image": large}).status_code == 413
    large = b'--x\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n' + large
    dripped = (large[i : i + 20_000] for i in range(0, len(large), 20_000))
    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    assert requests.post(f"{shop[0]}/recommend", data=dripped, headers=kind).status_code == 413


def test_a_body_that_drips_is_not_waited_for(shop):
    host, port = shop[0].removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as s:
        s.sendall(
            b"POST /recommend HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=x\r\nContent-Length: 9999\r\n\r\n--x"  # noqa: E501
        )
        answer = s.recv(4_096)
    assert b" 408 " in answer.split(b"\r\n")[0]
    assert requests.get(f"{shop[0]}/health").ok


def test_a_head_that_drips_is_not_waited_for(shop):
    host, port = shop[0].removeprefix("http://").split(":")
    with contextlib.ExitStack() as stack:
        silent, begun, again = (
            stack.enter_context(socket.create_connection((host, int(port)), timeout=20))
            for _ in range(3)
        )
        begun.sendall(b"GET /health HTTP/1.1\r\nX-A: ")
        again.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b" 200 " in again.recv(4_096)
        again.sendall(b"GET /hea")
        for s in (silent, begun, again):
            while s.recv(4_096):  # until it is closed
                pass
    assert requests.get(f"{shop[0]}/health").ok


@pytest.mark.parametrize(
    "error, status",
    [
        (RuntimeError("/home/somebody/secret.txt"), 500),
        (KeyError("secret"), 500),
        (TypeError("secret"), 500),
        (ImageError("missing", "no file '/srv/secret/a.jpg'"), 422),
    ],
    ids=lambda e: type(e).__name__,
)
def test_what_goes_wrong_inside_stays_inside(shop, monkeypatch, error, status):
    url, inner = shop

    def fails(**_):
        raise error

    monkeypatch.setattr(inner.recommender, "recommend", fails)
    answer = requests.post(f"{url}/recommend", data={"text": "cotton"})
    assert answer.status_code == status and "secret" not in answer.text
    assert answer.json()["code"] == ("internal" if status == 500 else "invalid")


def test_what_a_library_stumbles_over_is_not_told(shop, monkeypatch):
    url, inner = shop
    monkeypatch.setattr(
        inner.recommender, "recommend", lambda **_: np.concatenate([])
    )  # a ValueError of numpy
    answer = requests.post(f"{url}/recommend", data={"text": "cotton"})
    assert answer.status_code == 500 and "concatenate" not in answer.text


def test_every_answer_has_its_headers(shop):
    for path in ("health", "nowhere", "products/none", "page.js"):
        headers = requests.get(f"{shop[0]}/{path}").headers
        assert (
            headers["X-Content-Type-Options"] == "nosniff"
            and headers["X-Model-Version"] == shop[1].version
        )
    cut = requests.post(f"{shop[0]}/recommend", files={"image": bytes(400_000)})
    assert cut.status_code == 413 and cut.headers["X-Content-Type-Options"] == "nosniff"
    slash = requests.get(
        f"{shop[0]}/products/", headers={"Host": "elsewhere.example"}, allow_redirects=False
    )
    assert slash.status_code == 400 and "Location" not in slash.headers


def test_what_waits_for_the_network_is_small(shop):
    assert shop[1].picture(picture((3_000, 2_000))).shape == (683, 1024, 3)


def test_all_that_a_recommender_takes_travels(shop, catalog):
    url, inner = shop
    ids = catalog.ids
    weights = {"image": 0.1, "text": 0.9, "history": 0.3}
    asked = [
        {"id": ids[0], "weights": weights},
        {"id": ids[0], "positive": [ids[5]], "negative": [ids[9], ids[11]]},
        {"positive": [ids[5], ids[6]]},
        {"id": ids[0], "exclude": ids[1:30], "diversity": 0.5},
        {"text": "cotton", "user": "ann", "collapse": 0.9, "within": None},
        {"id": ids[0], "within": "category"},
    ]
    for options in asked:
        form = {k: json.dumps(v) if k == "weights" else v for k, v in options.items()}
        answer = requests.post(f"{url}/recommend", data=form | {"k": 30}).json()
        expected = inner.recommender.recommend(k=30, **options)
        assert [h["id"] for h in answer["hits"]] == expected.ids, options
    assert expected.ids != inner.recommender.recommend(k=30, id=ids[0], weights=weights).ids


@pytest.mark.parametrize(
    "weights",
    [
        '{"image": 2}',
        '{"image": "much"}',
        "[1]",
        '{"looks": 1}',
        '{"image": NaN}',
        "[" * 50_000,
        '{"image": 1e999}',
    ],
)
def test_weights_that_are_none(shop, weights):
    answer = requests.post(f"{shop[0]}/recommend", data={"text": "cotton", "weights": weights})
    assert answer.status_code == 422 and "weights" in answer.json()["detail"], answer.text


# -- what changes the shop


def test_changes_need_the_key(shop, folder, catalog):
    calls = [
        ("put", "/products/x", {"data": {"fields": '{"title": "cotton"}'}}),
        ("delete", f"/products/{catalog.ids[0]}", {}),
    ]
    calls += [("post", "/feedback", {"json": {"user": "u", "id": catalog.ids[0]}})]
    for method, path, body in calls:
        for headers in ({}, {"X-API-Key": "secrets"}, {"X-API-Key": "ü"}):
            headers = {k: v.encode() for k, v in headers.items()}
            assert (
                getattr(requests, method)(shop[0] + path, headers=headers, **body).status_code
                == 401
            )
    with serving(folder, database="sqlite://") as (url, _):
        assert put(url, "x", {"title": "cotton"}).status_code == 403


def test_a_product_comes_changes_and_goes(shop):
    url, _ = shop
    state = requests.get(f"{url}/ready").json()
    before, change = state["products"], state["change"]
    assert put(
        url, "new", {"title": "cotton thing", "price": 5}, picture(colour="blue")
    ).json() == {
        "id": "new",
        "products": before + 1,
        "change": change + 1,
    }
    found = requests.post(
        f"{url}/recommend", files={"image": picture(colour="blue")}, data={"k": 1}
    ).json()["hits"][0]
    assert found["id"] == "new" and found["price"] == 5
    assert (
        put(url, "new", {"title": "cotton thing", "price": 6}, picture(colour="lime")).json()[
            "products"
        ]
        == before + 1
    )
    assert requests.get(f"{url}/products/new").json()["price"] == 6
    found = requests.post(
        f"{url}/recommend", files={"image": picture(colour="lime")}, data={"k": 1}
    ).json()["hits"][0]
    assert found["id"] == "new" and found["score"] > 0.99
    assert requests.delete(f"{url}/products/new", headers=KEY).json()["products"] == before
    assert requests.delete(f"{url}/products/new", headers=KEY).status_code == 404


@pytest.mark.parametrize(
    "fields",
    [
        {"title": {"a": 1}},
        {"price": float("nan"), "title": "cotton"},
        {"title": "zzzz"},
        {},
        ["cotton"],
        {"price": 3},
        {"title": "cotton", "price": "cheap"},
        {"title": "cotton", "category": 7},
        {"title": "cotton", "stock": 10**30},
        {"title": "cotton", "id": "other"},
        {"title": "cotton", "": "x"},
        {"title": "cotton \ud800"},
        {"title": "cotton"} | {f"f{n}": n for n in range(100)},
    ],
)
def test_a_product_that_is_none_changes_nothing(shop, fields):
    before = requests.get(f"{shop[0]}/ready").json()
    assert put(shop[0], "bad", fields).status_code == 422
    assert requests.get(f"{shop[0]}/ready").json() == before
    assert "bad" not in shop[1].changes.last()
    assert requests.get(f"{shop[0]}/products").ok and requests.get(f"{shop[0]}/filters").ok


def test_any_id_has_its_address(shop):
    for id in ("boots/high heels/0042", "ü %2F?#&", "a.b"):
        address = f"{shop[0]}/products/{quote(id, safe='')}"
        made = requests.put(
            address, data={"fields": '{"title": "cotton"}'}, files={"image": picture()}, headers=KEY
        )
        assert made.json()["id"] == id, made.text
        assert requests.get(address).json()["id"] == id
        assert requests.get(f"{address}/picture").headers["Content-Type"] == "image/jpeg"
        assert requests.delete(address, headers=KEY).ok and requests.get(address).status_code == 404


def test_the_last_product_may_be_replaced(catalog, tmp_path):
    a, b = catalog.ids[:2]
    base = Recommender(image=ColorHistogram((40, 30)), text=TfidfEmbedder(fields=("title",))).fit(
        catalog[[a, b]]
    )
    base.save(tmp_path / "two")
    database = f"sqlite:///{tmp_path}/two.sqlite"
    shop = LiveRecommender(tmp_path / "two", database).open()
    words = catalog.products.title[a]
    for id, fields in [
        (b, None),
        ("c", {"title": words}),
        (a, {"title": words, "price": 1}),
        ("c", None),
        (a, {"title": words}),
    ]:
        shop.put(id, fields) if fields else shop.drop(id)
        again = LiveRecommender(tmp_path / "two", database).open()
        assert (
            sorted(again.catalog.ids)
            == sorted(shop.catalog.ids)
            == sorted(again.recommender.catalog.ids)
        )
        again.close()
    assert shop.catalog.ids == [a]
    with pytest.raises(ValueError, match="the last product"):
        shop.drop(a)
    shop.close()


def test_feedback_counts_at_once(shop, catalog):
    url, _ = shop
    liked = catalog.ids[7]
    event = {"user": "ann", "id": liked, "event": "dislike"}
    assert requests.post(f"{url}/feedback", json=event, headers=KEY).status_code == 201
    hits = requests.post(
        f"{url}/recommend", data={"user": "ann", "text": "cotton", "k": 100}
    ).json()["hits"]
    assert liked not in [h["id"] for h in hits]
    assert requests.post(
        f"{url}/feedback", json=event | {"id": "none"}, headers=KEY
    ).status_code in (404, 422)
    assert (
        requests.post(f"{url}/feedback", json=event | {"event": "stare"}, headers=KEY).status_code
        == 422
    )


def test_many_ask_at_once_and_are_answered_together(shop, catalog):
    url, inner = shop
    inner.together.sizes.clear()
    ids = catalog.ids[:40]
    with ThreadPoolExecutor(16) as pool:
        answers = list(
            pool.map(
                lambda i: requests.post(f"{url}/recommend", data={"id": i, "k": 3}).json()["hits"],
                ids,
            )
        )
    assert [[h["id"] for h in a] for a in answers] == [
        h.ids for h in inner.recommender.recommend(k=3, id=ids, each=True)
    ]
    assert max(inner.together.sizes) > 1


def test_a_folder_without_a_recommender_is_refused_at_once(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match="no manifest.json"):
        make_app(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="holds a saved Index, not a Recommender"):
        make_app(folder / "index")


# -- the page


def test_the_page_asks_goes_on_and_filters(shop, catalog):
    url, _ = shop
    playwright, elsewhere, errors = page_driver(), [], []
    with playwright.sync_playwright() as p, launched(p) as browser:
        page = browser.new_page(viewport={"width": 390, "height": 844})
        expect, home = playwright.expect, (url, "blob:", "data:")
        page.on("request", lambda r: r.url.startswith(home) or elsewhere.append(r.url))
        page.on("pageerror", lambda e: errors.append(str(e)))
        page.goto(url)
        expect(page.locator("#examples a")).to_have_count(3)  # the first screen is not empty
        expect(page.locator(".hit")).to_have_count(24)
        asked = catalog.ids[5]
        photo = {"name": "mine.jpg", "mimeType": "image/jpeg", "buffer": catalog.open(asked)}
        page.set_input_files("#file", photo)
        expect(page.locator(".hit strong").first).to_have_text(catalog.products.title[asked])
        title = page.locator(".hit strong").nth(1).inner_text()
        page.locator(".hit a").nth(1).click()
        expect(page.locator("#shown h2")).to_have_text(title)  # what was clicked is shown, large
        expect(page.locator("#trail a")).to_have_count(2)
        page.locator("#trail a").first.click()
        expect(page.locator("#trail a")).to_have_count(1)
        page.go_back()  # the address holds the question
        expect(page.locator("#shown h2")).to_have_text(title)
        page.locator("#open").click()
        kinds = catalog.products.category.value_counts()
        for kind in kinds.index[:2]:
            page.locator(f"input[data-column=category][value='{kind}']").check()
        page.locator("#sheet button[data-word=show]").click()
        own = catalog.products[catalog.products.title == title].category.iloc[0]
        wanted = int(kinds.iloc[:2].sum()) - (own in kinds.index[:2])
        expect(page.locator("#message")).to_contain_text(f"{min(24, wanted)} products")
        page.evaluate(
            "() => { const f = fetch; window.fetch = (p, o) => { if (o) window.sent = o.body.get('weights'); "  # noqa: E501
            "return f(p, o); } }"
        )
        page.locator("#open").click()
        page.locator("#share").fill("0.99")
        page.locator("#share").dispatch_event("change")
        page.wait_for_function("window.sent")
        assert json.loads(page.evaluate("sent"))["text"] == 0.99
        page.keyboard.press("Escape")
        page.fill("#text", "zzzzz")
        page.keyboard.press("Enter")
        expect(page.locator("#message")).to_contain_text("None of these words is known")
        none = {"name": "a.jpg", "mimeType": "image/jpeg", "buffer": b"no picture"}
        page.set_input_files("#file", none)
        expect(page.locator("#message")).to_have_text("This picture cannot be read.")
        # nothing is cut off on a phone
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert not elsewhere and not errors


# -- killed, and stopped


def test_killed_at_random_moments_nothing_confirmed_is_lost(mother, folder, tmp_path):
    database, draw, confirmed, begun = f"sqlite:///{tmp_path}/shop.sqlite", random.Random(0), {}, {}
    answered = 0
    for n in range(KILLS or 10):
        pid, url, state = born(mother, folder, database)
        check_all(url, state, confirmed, begun)
        with asked_meanwhile(url) as asking, killed_after(draw.uniform(0.01, 0.5), pid):
            write_until_dead(url, n, draw, confirmed, begun)
        answered += sum(a.result() for a in asking)
    print(f"{n + 1} kills, {len(confirmed)} products confirmed, {answered} questions answered")
    assert len(confirmed) > n / 2 and answered > n


def test_a_stop_finishes_what_was_begun(mother, folder, tmp_path):
    database = f"sqlite:///{tmp_path}/shop.sqlite"
    pid, url, _ = born(mother, folder, database)
    with ThreadPoolExecutor(4) as pool:
        answers = [
            pool.submit(put, url, f"p{n}", {"title": f"cotton {n}"}, picture((900, 900)))
            for n in range(4)
        ]
        time.sleep(0.05)
        os.kill(pid, signal.SIGTERM)
        done = []
        for answer in answers:
            with contextlib.suppress(requests.ConnectionError):  # one that came after the stop
                done.append(answer.result().status_code)
    assert done and set(done) == {200}
    assert len(ChangeLog(database).last()) >= len(done)


def test_the_session_of_an_unknown_visitor_is_answered_in_its_order(catalog, tmp_path):
    ring = catalog.ids[:12]  # each user looked at three products, one after the other
    rows = [(f"u{u}", ring[(u + s) % 12], "view") for u in range(36) for s in range(3)]
    history = History(pd.DataFrame(rows, columns=["user", "id", "event"]))
    made = Recommender(text=TfidfEmbedder(fields=("title",)), collaborative=Markov(back=0.0))
    made.fit(catalog, history=history).save(tmp_path / "shop")
    with serving(tmp_path / "shop", database=f"sqlite:///{tmp_path}/events.sqlite") as (url, _):
        for shown, following in (([3, 4], 5), ([7, 3], 4)):
            session = [ring[n] for n in shown]
            asked = {"session": session, "k": 2, "weights": {"text": 0, "history": 1}}
            hits = requests.post(f"{url}/recommend", json=asked).json()["hits"]
            form = {"session": session, "k": 2, "weights": json.dumps(asked["weights"])}
            assert requests.post(f"{url}/recommend", data=form).json()["hits"] == hits
            assert hits[0]["id"] == ring[following] and not {h["id"] for h in hits} & {*session}
            last = f"because of {session[-1]}, which the user looked at"
            assert hits[0]["reason"].startswith(last)
        gone = requests.post(f"{url}/recommend", json={"session": ["sold out", ring[3]], "k": 1})
        assert gone.json()["hits"][0]["id"] == ring[4] and "sold out" in gone.json()["note"]
        assert requests.post(f"{url}/recommend", json={"session": "x"}).status_code in (400, 422)


def test_serve_refuses_what_cannot_be_loaded_before_it_listens(tmp_path, monkeypatch):
    from prodrec.apps import server

    Own = type("OwnWords", (TfidfEmbedder,), {"__module__": "mine"})
    Recommender(text=Own()).fit(load_demo(12)).save(tmp_path / "shop")
    del Own._classes["OwnWords"]
    monkeypatch.setattr("uvicorn.run", lambda *args, **options: pytest.fail("it listened"))
    with pytest.raises(ValueError, match="import it first, `from mine import OwnWords`"):
        server.serve(tmp_path / "shop")
