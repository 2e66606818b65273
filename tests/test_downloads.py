"""Pictures fetched from a real server on this machine that misbehaves as told."""

import io
import os
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest
from PIL import Image
from scripted import cache, server

from prodrec.core import ImageError
from prodrec.data import downloads
from prodrec.data.catalog import Catalog
from prodrec.data.downloads import download_pictures
from prodrec.data.pictures import fetch, store_url, url_path

__all__ = ["cache", "server"]  # fixtures


def test_a_hold_holds_all():
    pace = downloads.Pace(1000)
    pace.hold(0.2)
    start = time.monotonic()
    pace.wait()
    assert time.monotonic() - start >= 0.19


def picture(format="JPEG", size=(8, 6)):
    out = io.BytesIO()
    Image.new("RGB", size, "red").save(out, format)
    return out.getvalue()


def catalog_of(server, *names):
    return Catalog(
        pd.DataFrame(
            {"image": [f"{server.url}{n}" if n and n.startswith("/") else n for n in names]},
            index=[f"p{i}" for i in range(len(names))],
        )
    )


QUICK = {"per_second": 5000, "timeout": (5, 5)}


@pytest.fixture
def no_waits(monkeypatch):
    monkeypatch.setattr(downloads, "backoff", lambda attempt, first: 0.001)


def test_pictures_are_fetched_once_and_then_need_no_network(server):
    server.script |= {
        "/a.jpg": [(200, picture(), {"Content-Type": "image/jpeg"})],
        "/b.png": [(200, picture("PNG"), {"Content-Type": "application/octet-stream"})],
    }
    catalog = catalog_of(server, "/a.jpg", "/b.png", "/a.jpg", None, "/tmp/x.jpg"[1:])
    table = download_pictures(catalog, **QUICK)
    assert table.index.tolist() == ["p0", "p1", "p2"]
    assert table.columns.tolist() == [
        "url",
        "status",
        "reason",
        "bytes",
        "format",
        "content_type",
        "seconds",
    ]
    assert table.status.tolist() == ["ok"] * 3 and table.format.tolist() == ["JPEG", "PNG", "JPEG"]
    assert table.bytes.tolist() == [len(picture()), len(picture("PNG")), len(picture())]
    assert (
        table.content_type.tolist()[:2] == ["image/jpeg", "application/octet-stream"]
        and (table.seconds > 0).all()
    )
    assert server.seen == {"/a.jpg": 1, "/b.png": 1}  # one URL, one request
    again = download_pictures(catalog, **QUICK)
    assert (
        again.status.tolist() == ["ok"] * 3
        and again.format.tolist() == table.format.tolist()
        and again.bytes.tolist() == table.bytes.tolist()
    )
    assert (again.seconds == 0).all() and sum(server.seen.values()) == 2
    server.shutdown()
    server.server_close()
    assert catalog.image("p0").size == (8, 6) and catalog.open("p1") == picture("PNG")


def test_no_urls_is_an_empty_table(server):
    table = download_pictures(Catalog(pd.DataFrame({"title": ["x"]}, index=["1"])))
    assert table.empty and table.columns[0] == "url"


def test_gifs_are_known_by_content(server):
    server.script["/a.jpg"] = [(200, picture("GIF"), {"Content-Type": "image/jpeg"})]
    catalog = catalog_of(server, "/a.jpg")
    skipped = download_pictures(catalog, skip_gif=True, **QUICK).iloc[0]
    assert (skipped.status, skipped.reason, skipped.format) == ("skipped", "GIF", "GIF")
    again, kept = (
        download_pictures(catalog, skip_gif=True, **QUICK).iloc[0],
        download_pictures(catalog, **QUICK).iloc[0],
    )
    assert (again.status, kept.status, kept.format, kept.reason) == ("skipped", "ok", "GIF", None)
    assert server.seen["/a.jpg"] == 1


@pytest.mark.parametrize(
    "answer, reason, requests",
    [
        (
            (200, b"<html>not here</html>" * 9, {"Content-Type": "text/html"}),
            "text/html, begins with",
            1,
        ),
        (
            (200, b"<html>not here</html>" * 9, {"Content-Type": "image/jpeg"}),
            "begins with b'<html>",
            1,
        ),
        ((200, b""), "begins with b''", 1),
        ((200, b"\xff\xd8"), "begins with", 1),
        ((404, b"gone"), "404", 1),
        ((403, picture()), "403", 1),
        ((500, b""), "500", 3),
        ((503, b""), "503", 3),
        ((429, b""), "429", 3),
        ((302, b"", {"Location": "/a.jpg"}), "redirects", 31),
        ((200, picture(size=(900, 900)) * 30), "bytes, more than 5,000", 1),
    ],
)
def test_what_is_no_picture_is_refused(server, no_waits, answer, reason, requests):
    server.script["/a.jpg"] = [answer]
    row = download_pictures(catalog_of(server, "/a.jpg"), max_bytes=5000, **QUICK).iloc[0]
    assert row.status == "failed" and reason in row.reason
    assert pd.isna(row["format"]) and not url_path(row.url).exists()
    assert server.seen["/a.jpg"] == requests


def test_a_large_picture_without_a_length_is_refused(server):
    def endless(handler):
        handler.send_response(200)
        handler.end_headers()
        try:
            handler.wfile.write(picture())
            for _ in range(10_000):
                handler.wfile.write(b"\0" * 1000)
        finally:
            handler.close_connection = True

    server.script["/a.jpg"] = [(200, endless)]
    row = download_pictures(catalog_of(server, "/a.jpg"), max_bytes=50_000, **QUICK).iloc[0]
    assert row.status == "failed" and "more than 50,000 bytes" in row.reason


def test_a_picture_in_tiny_chunks_is_whole_and_one_that_never_ends_is_given_up(server):
    def drip(handler, pause=0.0, times=1):
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for _ in range(times):
            for i in range(0, len(picture()), 7):
                part = picture()[i : i + 7]
                handler.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
            time.sleep(pause)
        handler.wfile.write(b"0\r\n\r\n")

    server.script |= {"/a.jpg": [(200, drip)], "/b.jpg": [(200, lambda h: drip(h, 0.05, 200))]}
    catalog = catalog_of(server, "/a.jpg", "/b.jpg")
    table = download_pictures(catalog, max_seconds=2, retries=0, **QUICK)
    assert (
        table.status.tolist() == ["ok", "failed"]
        and "not whole after 2 seconds" in table.reason["p1"]
    )
    assert catalog.open("p0") == picture()


@pytest.mark.usefixtures("no_waits")
def test_a_picture_cut_in_the_middle_is_not_kept(server):
    def cut(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", "5000")
        handler.end_headers()
        handler.wfile.write(picture())
        handler.close_connection = True

    server.script["/a.jpg"] = [(200, cut), (200, picture())]
    table = download_pictures(catalog_of(server, "/a.jpg"), **QUICK)
    assert table.status.tolist() == ["ok"] and server.seen["/a.jpg"] == 2
    assert fetch(table.url["p0"]) == picture()


@pytest.mark.usefixtures("no_waits")
def test_only_failures_are_fetched_again(server):
    server.script |= {
        "/a.jpg": [(200, picture())],
        "/b.jpg": [(404, b""), (200, picture())],
        "/c.jpg": [(500, b""), (200, picture())],
    }
    catalog = catalog_of(server, "/a.jpg", "/b.jpg", "/c.jpg")
    assert download_pictures(catalog, **QUICK).status.tolist() == ["ok", "failed", "ok"]
    assert download_pictures(catalog, **QUICK).status.tolist() == ["ok"] * 3
    assert server.seen == {"/a.jpg": 1, "/b.jpg": 2, "/c.jpg": 2}


def test_addresses_that_lead_nowhere_fail_in_the_table(server):
    odd = [
        "http://127.0.0.1:9/a.jpg",
        "http://",
        "https:///x.jpg",
        "http://[oops/x.jpg",
        "http://a..b/x.jpg",
        "http://" + "a" * 70 + ".example/x.jpg",
    ]
    table = download_pictures(catalog_of(server, *odd), retries=0, **QUICK)
    assert table.status.tolist() == ["failed"] * len(odd) and table.reason.str.len().gt(0).all()


def test_an_error_page_from_an_older_cache_is_fetched_again(server):
    server.script["/a.jpg"] = [(200, picture())]
    catalog = catalog_of(server, "/a.jpg")
    store_url(f"{server.url}/a.jpg", b"<html>sorry</html>")
    assert download_pictures(catalog, **QUICK).status.tolist() == ["ok"]
    assert catalog.open("p0") == picture() and server.seen["/a.jpg"] == 1


def test_fetch_keeps_no_error_pages(server):
    server.script["/a.jpg"] = [(200, b"<html>sorry, come back later</html>"), (200, picture())]
    catalog = catalog_of(server, "/a.jpg")
    with pytest.raises(ImageError, match="of product 'p0' is unreadable") as e:
        catalog.open("p0")
    assert e.value.reason == "unreadable"
    assert catalog.open("p0") == catalog.open("p0") == picture()
    assert server.seen["/a.jpg"] == 2


def test_politeness(server):
    def slow(query):
        time.sleep(0.05)
        return 200, picture()

    names = [f"/{n}.jpg" for n in range(12)]
    server.script |= dict.fromkeys(names, slow)
    table = download_pictures(catalog_of(server, *names), workers=12, per_host=3, per_second=5000)
    assert (table.status == "ok").all() and 1 < server.most <= 3

    names = [f"/x{n}.jpg" for n in range(11)]
    server.script |= dict.fromkeys(names, slow)
    start = time.monotonic()
    download_pictures(catalog_of(server, *names), workers=12, per_host=12, per_second=50)
    assert time.monotonic() - start >= 10 / 50


def test_a_host_that_asks_for_rest_gets_it(server, monkeypatch):
    held = []
    monkeypatch.setattr(downloads.Pace, "hold", lambda self, seconds: held.append(seconds))
    server.script |= {"/a.jpg": [(429, b"", {"Retry-After": "9"}), (200, picture())]}
    assert download_pictures(catalog_of(server, "/a.jpg"), **QUICK).status.tolist() == ["ok"]
    assert held == [9.0]

    names = [f"/{n}.jpg" for n in range(30)]
    server.script |= dict.fromkeys(names, [(503, b"", {"Retry-After": "7200"})])
    before = sum(server.seen.values())
    table = download_pictures(catalog_of(server, *names), workers=1, **QUICK)
    assert (table.status == "failed").all()
    assert table.reason.iloc[1:].str.contains("the host asks to wait 7200 seconds").all()
    assert sum(server.seen.values()) == before + 1  # and is not asked for the other 29


def test_hosts_take_turns():
    urls = ["http://a/1", "http://a/2", "http://a/3", "http://b/1", "http://b/2"]
    assert downloads._by_turns(urls) == [
        "http://a/1",
        "http://b/1",
        "http://a/2",
        "http://b/2",
        "http://a/3",
    ]


INTERRUPTED = """
import pandas as pd, sys
from prodrec.data.downloads import download_pictures
from prodrec.data.catalog import Catalog
c = Catalog(pd.DataFrame({"image": [sys.argv[1] + f"/{n}.jpg" for n in range(40)]}, index=[f"p{n}" for n in range(40)]))
print("begin", flush=True)
download_pictures(c, workers=2, per_second=5)
"""  # noqa: E501


def test_after_ctrl_c_the_rest_is_fetched(server):
    names = [f"/{n}.jpg" for n in range(40)]
    server.script |= dict.fromkeys(names, [(200, picture())])
    child = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, server.url],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert child.stdout.readline() == "begin\n"
        while sum(server.seen.values()) < 5:
            assert child.poll() is None
            time.sleep(0.01)
        child.send_signal(signal.SIGINT)
        _, err = child.communicate(timeout=30)
    finally:
        child.kill()
    assert child.returncode != 0 and "KeyboardInterrupt" in err
    done = sum(server.seen.values())
    assert 5 <= done < 40
    assert (
        sum(url_path(f"{server.url}{n}").exists() for n in names) == done
    )  # what was asked for was kept
    table = download_pictures(catalog_of(server, *names), **QUICK)
    assert (table.status == "ok").all() and (table.seconds == 0).sum() == done
    assert server.seen == dict.fromkeys(names, 1)


def test_a_full_disk_is_an_error_and_not_a_row(server, monkeypatch):
    def full(url, data):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(downloads, "store_url", full)
    names = [f"/{n}.jpg" for n in range(50)]
    server.script |= dict.fromkeys(names, [(200, picture())])
    with pytest.raises(OSError, match="No space left"):
        download_pictures(catalog_of(server, *names), workers=2, per_second=20)
    assert sum(server.seen.values()) < 50
