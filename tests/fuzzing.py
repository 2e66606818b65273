"""Inputs that nobody thought of, and what must hold for each: a right answer, or an error in words.

`test_fuzz.py` gives each a few examples; `python .ci/fuzz.py --minutes 10` gives them time.
"""

import asyncio
import contextlib
import io
import json
import shutil
import tempfile
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
from builders import shop
from hypothesis import strategies as st
from PIL import Image

import prodrec
from prodrec.core import ImageError, file_digest
from prodrec.data.catalog import Catalog
from prodrec.data.pictures import check_upload
from prodrec.data.readers import read_table
from prodrec.data.tables import read_csv, read_json_lines
from prodrec.recommend.embedders import ColorHistogram, TfidfEmbedder
from prodrec.recommend.filters import parse_where, where_mask
from prodrec.recommend.history import History
from prodrec.recommend.index import FaissIndex

KEY = {"X-API-Key": "secret"}
_PLACE = Path(tempfile.mkdtemp())


def pictures() -> list[bytes]:
    "Return small files of every kind that may be sent."
    pixels = np.random.default_rng(0).integers(0, 256, (24, 20, 3), np.uint8)
    image, files = Image.fromarray(pixels), []
    for kind, options in (
        ("JPEG", {}),
        ("JPEG", {"progressive": True}),
        ("PNG", {}),
        ("WEBP", {"lossless": True}),
        ("GIF", {}),
        ("BMP", {}),
        ("TIFF", {}),
    ):
        image.save(out := io.BytesIO(), kind, **options)
        files.append(out.getvalue())
    return files


@st.composite
def damaged(draw, originals: list[bytes]) -> bytes:
    "Return one of some files with bytes changed, cut off, doubled or put in."
    data = bytearray(draw(st.sampled_from(originals)))
    for _ in range(draw(st.integers(0, 6))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        way = draw(st.sampled_from(["change", "cut", "double", "insert", "number"]))
        if way == "change" and data:
            data[at] = draw(st.integers(0, 255))
        elif way == "cut":
            del data[at:]
        elif way == "double":
            end = draw(st.integers(at, len(data)))
            data[end:end] = data[at:end]
        elif way == "number":  # where lengths and sizes stand
            data[at : at + 4] = draw(st.sampled_from([b"\xff" * 4, b"\0" * 4, b"\x7f\xff\xff\xff"]))
        else:
            data[at:at] = draw(st.binary(max_size=20))
    return bytes(data)


CELLS = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        ["", "007", "1e400", "NaN", "null", "-0", "2024-02-30", '"', "a,b", "a\nb", "\ufeff", "[1"]
    ),
)


@st.composite
def tables(draw) -> bytes:
    "Return something like a CSV file."
    names = draw(st.lists(st.sampled_from(["id", "title", "price", "image", "x", ""]), max_size=5))
    rows = draw(st.lists(st.lists(CELLS, max_size=6), max_size=6))
    sep, end = draw(st.sampled_from(",;\t|")), draw(st.sampled_from(["\n", "\r\n", "\r"]))
    text = end.join(sep.join(row) for row in [names, *rows])
    coding = draw(st.sampled_from(["utf-8", "utf-16", "latin-1"]))
    return text.encode(coding, "replace") + draw(st.binary(max_size=3))


def upload(data: bytes):
    "A picture that was sent is pixels, or an error that is about the picture."
    with contextlib.suppress(ImageError):
        pixels = check_upload(data)
        assert pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] == 3


def table(data: bytes):
    "A table is a catalogue with an id for each row, or an error in words."
    for name in ("a.csv", "a.tsv", "a.jsonl", "a.parquet"):
        file = _PLACE / name
        file.write_bytes(data)
        for read in (read_table, read_csv, read_json_lines):
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    found = read(file)
            except (ValueError, OSError) as e:
                assert str(e).strip()
                continue
            if isinstance(found, Catalog):
                assert found.products.index.is_unique
                assert all(isinstance(i, str) and i for i in found.ids)


JSON = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(max_size=8),
        st.sampled_from(["category", "price", "from", "to", "any", "a\0", "\ud800"]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(
            st.sampled_from(["category", "price", "title", "from", "to", "any", "id"]),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=12,
)


def wish(value):
    "A filter from outside is a mask, or one `ValueError`."
    products = shop(12).products
    with contextlib.suppress(ValueError):
        mask = where_mask(products, parse_where(json.dumps(value), products))
        assert mask.dtype == bool and mask.shape == (12,)


def saved() -> dict[str, Path]:
    "Return folders of small things that were saved."
    made = {
        "catalog": shop(9),
        "history": History(pd.DataFrame({"user": ["a", "b"], "id": ["000", "001"]})),
        "index": FaissIndex().add(np.eye(5, 3, dtype=np.float32)),
        "graph": FaissIndex(approximate=True).add(np.eye(5, 3, dtype=np.float32)),
        "words": TfidfEmbedder(fields=("title",)).fit(shop(9)),
        "recommender": prodrec.Recommender(
            image=ColorHistogram((10, 8)), text=TfidfEmbedder(fields=("title",))
        ).fit(shop(9)),
    }
    for name, thing in made.items():
        thing.save(_PLACE / "saved" / name)
    return {name: _PLACE / "saved" / name for name in made}


def reseal(folder: Path):
    "Write the checksums anew, as whoever changes a file on purpose does."
    for path in sorted(folder.rglob("manifest.json"), key=lambda p: -len(p.parts)):
        with contextlib.suppress(ValueError, TypeError, AttributeError):
            manifest = json.loads(path.read_text())
            there = [p for p in path.parent.rglob("*") if p.is_file() and p != path]
            digests = {p.relative_to(path.parent).as_posix(): file_digest(p) for p in there}
            path.write_text(json.dumps(manifest | {"files": digests}))


@st.composite
def broken_folders(draw, folders: dict[str, Path], native: bool = False):
    """Return (name of a folder, file in it, its new bytes or None for a lost file, resealed).

    FAISS reads its own file in C++; `native` says to damage that one too.
    """
    name = draw(st.sampled_from(sorted(folders)))
    files = sorted(p for p in folders[name].rglob("*") if p.is_file())
    files = [p for p in files if native or p.suffix != ".faiss"]
    file = draw(st.sampled_from(files))
    data = draw(st.one_of(st.none(), damaged([file.read_bytes()])))
    return name, file.relative_to(folders[name]), data, draw(st.booleans())


def load(folders: dict[str, Path], case):
    "A damaged folder is one `ValueError`, or it loads; a lost manifest is `FileNotFoundError`."
    name, file, data, resealed = case
    copy = _PLACE / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(folders[name], copy)
    (copy / file).unlink() if data is None else (copy / file).write_bytes(data)
    if resealed:
        reseal(copy)
    kinds = {"catalog": Catalog, "history": History, "recommender": prodrec.Recommender}
    kinds |= {"index": FaissIndex, "graph": FaissIndex, "words": TfidfEmbedder}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            kinds[name].load(copy)
        except ValueError as e:
            assert str(e).strip()
        except FileNotFoundError:
            assert file.name == "manifest.json" and data is None


PATHS = ["/recommend", "/classify", "/feedback", "/products", "/products/x", "/products/000"]
KINDS = [
    "application/json",
    "multipart/form-data; boundary=b",
    "application/x-www-form-urlencoded",
    "text/csv",
    "application/x-ndjson",
    "text/plain",
    "",
]


@st.composite
def requests(draw):
    "Return (method, path, content type, body)."
    body = draw(
        st.one_of(
            JSON.map(lambda v: json.dumps(v).encode()),
            st.binary(max_size=60),
            tables(),
            st.tuples(
                st.sampled_from(["image", "fields", "text", "where", "id"]),
                st.one_of(damaged(pictures()), JSON.map(lambda v: json.dumps(v).encode())),
                st.booleans(),
            ).map(_form),
        )
    )
    method = draw(st.sampled_from(["POST", "PUT"]))
    return method, draw(st.sampled_from(PATHS)), draw(st.sampled_from(KINDS)), body


def _form(part: tuple[str, bytes, bool]) -> bytes:
    name, data, is_file = part
    file = '; filename="a.jpg"' if is_file else ""
    head = f'--b\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'
    return head.encode() + data + b"\r\n--b--\r\n"


class App:
    "The server without a network."

    def __init__(self):
        from prodrec.apps.server import make_app

        folder = saved()["recommender"]
        self.loop = asyncio.new_event_loop()
        self.app = make_app(folder, database="sqlite://", api_key="secret")
        self.app.state.live.open()
        stack = self.app.build_middleware_stack()
        self.app.middleware_stack = stack

    def __call__(self, case):
        "Nothing that is sent is answered with 500, and what was kept is there."
        from prodrec.apps.guards import call

        method, path, kind, body = case
        headers = KEY | {"content-type": kind} | {"content-length": str(len(body))}
        sent = call(self.app, method, path, headers, body)
        status, answer, _ = self.loop.run_until_complete(asyncio.wait_for(sent, 60))
        assert status != 500, (method, path, kind, body, answer)
        if status >= 400:
            assert set(json.loads(answer)) == {"code", "detail"}
        live = self.app.state.live
        assert len(live.recommender.index) == len(live.catalog)

    def close(self):
        self.app.state.live.close()
        self.loop.close()


def archives() -> list[bytes]:
    "Return a small zip archive of pictures."
    with zipfile.ZipFile(out := io.BytesIO(), "w", zipfile.ZIP_DEFLATED) as z:
        for n, data in enumerate(pictures()[:3]):
            z.writestr(f"a/{n}.jpg", data)
    return [out.getvalue()]


def archive(data: bytes):
    "A member of a damaged archive is bytes, or an error about the picture."
    from prodrec.data.pictures import read_ref

    file = _PLACE / f"{abs(hash(data))}.zip"
    file.write_bytes(data)
    for n in range(3):
        with contextlib.suppress(ImageError):
            assert isinstance(read_ref(f"{file}!/a/{n}.jpg"), bytes)
    file.unlink()
