"""That the parts of the project agree with each other, and that what is built from them works away
from here.
"""

import ast
import builtins
import importlib.util
import inspect
import json
import operator
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import venv
import zipfile
from configparser import ConfigParser
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from PIL import Image

import prodrec

ROOT = Path(__file__).resolve().parent.parent
CONFIG = ConfigParser(delimiters=["="])
CONFIG.read(ROOT / "settings.ini", encoding="utf-8")
SETTINGS = CONFIG["DEFAULT"]
MODULES = sorted(
    p for p in (ROOT / "prodrec").rglob("*.py") if p.name not in ("_modidx.py", "__init__.py")
)
by_path = {"ids": lambda p: p.relative_to(ROOT).as_posix()}


def run(*command, cwd, **env) -> str:
    "What `command` prints, run away from this checkout."
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in ("PYTHONPATH", "VIRTUAL_ENV")
    }
    p = subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        env=kept | env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert p.returncode == 0, (
        f"{' '.join(map(str, command))}\n{p.stdout[-3000:]}\n{p.stderr[-3000:]}"
    )
    return p.stdout


def name_of(requirement: str) -> str:
    return re.match(r"[\w.-]+", requirement)[0].lower().replace("_", "-")


def requirements() -> dict[str, set[str]]:
    "The names that settings.ini requires: those of each extra, and under '' what everybody gets."
    lists = {
        key.removesuffix("requirements").rstrip("_"): SETTINGS[key]
        for key in SETTINGS
        if key.endswith("requirements")
    }
    return {extra: {name_of(r) for r in text.split()} for extra, text in lists.items()}


# -- versions and requirements


def test_versions_agree():
    released = re.findall(
        r"^## \[(\d[^\]]*)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert prodrec.__version__ == SETTINGS["version"] == released[0]


def test_every_requirement_has_its_reason():
    reasons, extra = {}, None
    for line in (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").splitlines():
        if heading := re.fullmatch(r"At run time:|Extra `(\w+)`:", line):
            extra = heading[1] or ""
            reasons[extra] = set()
        elif extra is not None and (item := re.match(r"- `([^`]+)`: \S", line)):
            reasons[extra].add(name_of(item[1]))
    assert reasons == requirements()


def script(name: str):
    "A script of .ci as a module."
    spec = importlib.util.spec_from_file_location(name, ROOT / ".ci" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_no_requirement_admits_a_known_hole(tmp_path):
    lowest = script("lowest")
    assert lowest.open_holes() == []
    advisories = json.loads((ROOT / ".ci" / "advisories.json").read_text(encoding="utf-8"))
    (tmp_path / ".ci").mkdir()
    (tmp_path / ".ci" / "advisories.json").write_text(json.dumps(advisories), encoding="utf-8")
    before = (ROOT / "settings.ini").read_text(encoding="utf-8")
    lowest.ROOT = tmp_path
    for wrong in ("keras>=3.6", "keras"):  # what it says where a floor is too low, or missing
        text = re.sub(r"\bkeras>=[\d.]+", wrong, before)
        (tmp_path / "settings.ini").write_text(text, encoding="utf-8")
        assert {line.split(":")[1].split(",")[0].strip() for line in lowest.open_holes()} == {
            a["id"] for a in advisories["keras"]
        }


def test_every_requirement_has_a_floor():
    lowest = script("lowest")
    floors = dict(lowest.floor(r) for listed in lowest.settings().values() for r in listed)
    held = {
        "fastcore",
        "execnb",
        "ghapi",
        "fastgit",
    }  # parts of nbdev, which says what it needs of them
    assert {name for name, version in floors.items() if version is None} == held
    pinned = [
        lowest.pinned(r)
        for r in ("numpy>=2.0", "psycopg[binary]>=3.2.2", "nbdev==2.4.14", "fastcore<2")
    ]
    assert pinned == ["numpy==2.0", "psycopg[binary]==3.2.2", "nbdev==2.4.14", "fastcore<2"]
    assert lowest.numbers("12.3") == lowest.numbers("12.3.0") < lowest.numbers("12.10")


def third_party(tree: ast.AST) -> set[str]:
    "The top-level names that a module imports from elsewhere."
    nodes = list(ast.walk(tree))
    names = {alias.name for n in nodes if isinstance(n, ast.Import) for alias in n.names}
    names |= {n.module for n in nodes if isinstance(n, ast.ImportFrom) and n.level == 0}
    return (
        {name.split(".")[0] for name in names}
        - set(sys.stdlib_module_names)
        - {"prodrec", "__future__"}
    )


def optionals(tree: ast.AST) -> set[tuple[str, str]]:
    "(module, extra) of each call of `optional`."
    calls = [
        n
        for n in ast.walk(tree)
        if isinstance(n, ast.Call) and getattr(n.func, "id", None) == "optional"
    ]
    return {(first_text(call.args[0]), call.args[1].value) for call in calls}


def first_text(node: ast.expr) -> str:
    "Return a text, or the fixed beginning of one that is put together."
    return first_text(node.values[0]) if isinstance(node, ast.JoinedStr) else node.value


@pytest.mark.parametrize("path", MODULES, **by_path)
def test_what_is_imported_is_required(path):
    tree, required, distributions = (
        ast.parse(path.read_text(encoding="utf-8")),
        requirements(),
        packages_distributions(),
    )
    for module in third_party(tree):
        found = {name_of(d) for d in distributions.get(module, [module])}
        assert found & required[""], (
            f"{path.name} imports {module}, which settings.ini does not require"
        )
    for module, extra in optionals(tree):
        found = {name_of(d) for d in distributions.get(module.split(".")[0], [module])}
        assert found & required[extra], (
            f"{path.name} says that the extra {extra!r} brings {module}: it does not"
        )


@pytest.mark.parametrize("path", sorted((ROOT / "prodrec").rglob("*.py")), **by_path)
def test_nothing_evaluates_text(path):
    "pandas evaluates Python in `eval` and `query`: a filter from a stranger could run anything."
    calls = [
        n for n in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(n, ast.Call)
    ]
    names = [getattr(call.func, "attr", getattr(call.func, "id", None)) for call in calls]
    assert not {"eval", "exec", "query"} & set(names)


# -- names and docstrings


@pytest.mark.parametrize("name", prodrec.__all__)
def test_public_names_import(name):
    value = getattr(prodrec, name)
    assert value.__module__ == f"prodrec.{prodrec._MODULES[name]}"
    assert name in dir(prodrec)


def test_type_checkers_see_the_public_names():
    tree = ast.parse((ROOT / "prodrec" / "__init__.py").read_text(encoding="utf-8"))
    block = next(n for n in tree.body if isinstance(n, ast.If))
    seen = {alias.asname: n.module for n in block.body for alias in n.names}
    assert seen == prodrec._MODULES


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no name 'Catalogue'; it has Catalog, "):
        prodrec.Catalogue  # noqa: B018
    assert not hasattr(prodrec, "Catalogue")


def test_import_is_light(tmp_path, capsys):
    code = "import time; t = time.perf_counter(); import prodrec, sys; t = time.perf_counter() - t; print(t, *sys.modules)"  # noqa: E501
    seconds, *modules = run(sys.executable, "-c", code, cwd=tmp_path).split()
    with capsys.disabled():
        print(f"\nimport prodrec: {float(seconds):.3f} s, {len(modules)} modules")
    assert not {
        "tensorflow",
        "keras",
        "pandas",
        "numpy",
        "matplotlib",
        "sklearn",
        "cv2",
        "faiss",
    } & set(modules)


def public(path: Path):
    "(qualified name, its node) of each public function, class and method of a module."
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in tree.body:
        if getattr(node, "name", None) in exported(path):
            yield node.name, node
            for method in node.body if isinstance(node, ast.ClassDef) else []:
                if isinstance(method, ast.FunctionDef) and not method.name.startswith("_"):
                    yield f"{node.name}.{method.name}", method


def imported(path: Path):
    return importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))


@pytest.mark.parametrize("path", MODULES, **by_path)
def test_public_things_have_docstrings(path):
    module = imported(
        path
    )  # not the source: what a base class has written about a method holds here too
    bare = [
        name for name, _ in public(path) if not inspect.getdoc(operator.attrgetter(name)(module))
    ]
    assert not bare, f"without a docstring: {', '.join(bare)}"


def parameters(node) -> set[str]:
    args = node.args
    every = [*args.posonlyargs, *args.args, *args.kwonlyargs, args.vararg, args.kwarg]
    return {a.arg for a in every if a is not None}


def members(tree: ast.AST) -> set[str]:
    "The methods and attributes of the classes in `tree`."
    names = set()
    for n in (n for c in ast.walk(tree) if isinstance(c, ast.ClassDef) for n in ast.walk(c)):
        if isinstance(n, ast.FunctionDef):
            names.add(n.name)
        elif isinstance(n, ast.Attribute) and getattr(n.value, "id", None) == "self":
            names.add(n.attr)
        elif isinstance(n, ast.AnnAssign) and isinstance(n.target, ast.Name):
            names.add(n.target.id)  # the fields of a dataclass
    return names


def exported(path: Path) -> list[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    named = [
        n
        for n in tree.body
        if isinstance(n, ast.Assign) and getattr(n.targets[0], "id", "") == "__all__"
    ]
    return ast.literal_eval(named[0].value)


EXPORTED = set().union(*map(exported, MODULES))
MEMBERS = set().union(*(members(ast.parse(p.read_text(encoding="utf-8"))) for p in MODULES))


def arguments(node) -> set[str]:
    "The parameters of a function; of a class, those of all its methods."
    functions = (
        [node]
        if isinstance(node, ast.FunctionDef)
        else [n for n in node.body if isinstance(n, ast.FunctionDef)]
    )
    return set().union(*map(parameters, functions))


@pytest.mark.parametrize("path", MODULES, **by_path)
def test_docstrings_speak_of_what_is_there(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    here = set(dir(imported(path)))
    here |= {
        a.name
        for n in ast.walk(tree)
        if isinstance(n, ast.Import | ast.ImportFrom)
        for a in n.names
    }
    words = {
        n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str)
    }
    for name, node in public(path):
        spoken = set(re.findall(r"`([a-z_]\w+)`", ast.get_docstring(node) or ""))
        unknown = spoken - arguments(node) - MEMBERS - EXPORTED - here - words - set(dir(builtins))
        assert not unknown, (
            f"the docstring of {name} speaks of {', '.join(sorted(unknown))}: no parameter, attribute or column"  # noqa: E501
        )


# -- documents


def test_the_python_in_the_readme_runs(tmp_path):
    blocks = re.findall(
        r"^```python\n(.*?)^```",
        (ROOT / "README.md").read_text(encoding="utf-8"),
        re.DOTALL | re.MULTILINE,
    )
    code = "\n".join(blocks)
    assert (
        "minutes=0.5" in code and "load_demo()" in code
    )  # how well it learns is the notebook's matter, which runs in full
    code = code.replace("minutes=0.5", "minutes=0.02").replace("load_demo()", "load_demo(n=150)")
    (tmp_path / "readme.py").write_text(code, encoding="utf-8")
    (tmp_path / "pictures").mkdir()
    Image.new("RGB", (16, 16), "red").save(tmp_path / "pictures" / "mug.png")
    (tmp_path / "products.csv").write_text("id,name,kind,file\n1,Red mug,mugs,mug.png\n")
    run(sys.executable, "readme.py", cwd=tmp_path)


def test_the_readme_generator(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / ".ci")
    from readme import Readme

    def code(source, *outputs):
        return {"cell_type": "code", "source": [source], "outputs": list(outputs)}

    def shown(**data):
        return {
            "output_type": "display_data",
            "data": {k.replace("_", "/"): v for k, v in data.items()},
        }

    pixel = "aGVsbG8="  # b"hello"
    readme = Readme(
        [
            {
                "cell_type": "markdown",
                "source": ["[a](b.ipynb) [c](../d.md#e) [f](https://g.h) [i](#j)"],
            },
            code("#| hide\nsecret()"),
            code("#| eval: false\nslow()"),
            code("1 + 1", {"output_type": "execute_result", "data": {"text/plain": ["2"]}}),
            code("show()", shown(image_png=pixel, text_plain="<Axes>")),
            code(
                "table",
                shown(
                    text_html=f'<style>x</style>\n<p>a\n\n<img src="data:image/jpeg;base64,{pixel}"></p>'  # noqa: E501
                ),
            ),
        ]
    )
    _, *parts = readme.text.split("\n\n")
    assert parts[0] == "[a](nbs/b.ipynb) [c](d.md#e) [f](https://g.h) [i](#j)"
    assert parts[1] == "```python\nslow()\n```"
    assert parts[3] == "```\n2\n```"
    assert parts[5] == "![](nbs/images/index-1.png)"
    assert parts[7] == '<p>a\n<img src="nbs/images/index-2.jpeg"></p>\n'
    assert readme.pictures == {
        "nbs/images/index-1.png": b"hello",
        "nbs/images/index-2.jpeg": b"hello",
    }


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_lead_somewhere(name):
    targets = re.findall(r"\]\(([^)\s#]+)", (ROOT / name).read_text(encoding="utf-8"))
    missing = [t for t in targets if not re.match(r"[a-z]+:", t) and not (ROOT / t).exists()]
    assert not missing


# -- what is built


def test_nothing_knows_where_the_data_is():
    places = [
        *MODULES,
        *(ROOT / "nbs").rglob("*.ipynb"),
        *(ROOT / "tests").glob("*.py"),
        ROOT / "Makefile",
    ]
    needle = "/".join(["..", "shared"])  # .ci/run alone may say that
    assert not [p.name for p in places if needle in p.read_text(encoding="utf-8")]


@pytest.fixture(scope="session")
def wheel():
    """The wheel, built from the source distribution, built from what git knows: nothing that
    happens to lie about.
    """
    with tempfile.TemporaryDirectory() as tmp:
        files = run(
            "git", "ls-files", "--cached", "--others", "--exclude-standard", cwd=ROOT
        ).splitlines()
        for file in files:
            if (ROOT / file).is_file():
                target = Path(tmp, "source", file)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes((ROOT / file).read_bytes())
        run(sys.executable, "-m", "build", "--outdir", f"{tmp}/dist", f"{tmp}/source", cwd=tmp)
        yield next(Path(tmp, "dist").glob("*.whl"))


@pytest.mark.install
def test_the_wheel_holds_the_package_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as z:
        names = z.namelist()
    assert {name.split("/")[0] for name in names} == {
        "prodrec",
        f"prodrec-{prodrec.__version__}.dist-info",
    }
    assert any(name.endswith("LICENSE") for name in names)
    here = {p.relative_to(ROOT).as_posix() for p in (ROOT / "prodrec").rglob("*") if p.is_file()}
    assert {n for n in names if n.startswith("prodrec/")} == {
        n for n in here if "__pycache__" not in n
    }


@pytest.fixture(scope="session")
def installed(wheel):
    "The programs of an environment that was empty before the wheel was installed there."
    with tempfile.TemporaryDirectory() as tmp:
        venv.create(tmp, with_pip=True)
        programs = Path(tmp, "bin")
        run(programs / "python", "-m", "pip", "install", "-qq", "--no-compile", wheel, cwd=tmp)
        yield programs


@pytest.mark.install
def test_the_wheel_imports_away_from_here(installed, tmp_path):
    code = "import prodrec; print(prodrec.__file__); [getattr(prodrec, name) for name in prodrec.__all__]"  # noqa: E501
    assert str(installed.parent) in run(installed / "python", "-c", code, cwd=tmp_path)


@pytest.mark.install
def test_the_command_line_runs_away_from_here(installed, tmp_path):
    assert "demo" in run(installed / "prodrec", "--help", cwd=tmp_path)


@pytest.mark.install
def test_a_chapter_runs_in_a_kernel_without_nbdev(installed, tmp_path):
    """As in Colab: the package, a kernel, and fastcore for the assertions; neither nbdev nor this
    checkout.
    """
    run(
        installed / "python",
        "-m",
        "pip",
        "install",
        "-qq",
        "nbclient",
        "ipykernel",
        "fastcore",
        cwd=tmp_path,
    )
    assert "nbdev" not in run(installed / "python", "-m", "pip", "list", cwd=tmp_path)
    chapter = tmp_path / "10_data.catalog.ipynb"
    chapter.write_bytes((ROOT / "nbs" / chapter.name).read_bytes())
    path = f"{installed}{os.pathsep}{os.environ['PATH']}"
    run(installed / "jupyter", "execute", "--inplace", chapter, cwd=tmp_path, PATH=path)


# -- the image, of which the steps are done one by one where no container can be made


def stages() -> list[list[tuple[str, str]]]:
    "The steps of the Dockerfile, (word, the rest), stage by stage."
    found = []
    text = re.sub(
        r"^#.*\n", "", (ROOT / "Dockerfile").read_text(encoding="utf-8"), flags=re.MULTILINE
    )
    for line in filter(str.strip, text.replace("\\\n", " ").splitlines()):
        word, _, rest = line.partition(" ")
        if word == "FROM":
            found.append([])
        found[-1].append((word, rest))
    return found


class Built:
    """What the steps of a stage leave: a folder in place of the image's root, and what is set.

    `programs` are an environment's.
    """

    def __init__(self, root: Path, programs: Path):
        self.root = self.cwd = root
        self.env = {"PATH": f"{programs}{os.pathsep}/usr/bin{os.pathsep}/bin", "HOME": str(root)}
        self.said = {}
        (root / "tmp").mkdir(parents=True)

    def inside(self, path: str) -> Path:
        return self.root / path.lstrip("/") if path.startswith("/") else self.cwd / path

    def copy(self, rest: str, stage: "Built | None"):
        *sources, target = [word for word in rest.split() if not word.startswith("--")]
        known = run(
            "git", "ls-files", "--cached", "--others", "--exclude-standard", cwd=ROOT
        ).splitlines()
        for source in sources:
            if "--from=build" in rest:
                shutil.copytree(stage.inside(source), self.inside(target))
                continue
            files = [f for f in known if f == source or f.startswith(f"{source}/")]
            assert files, f"the Dockerfile copies {source}, which is not there"
            for file in files:
                assert (
                    f"!{file.split('/')[0]}"
                    in (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
                )
                to = (
                    self.inside(target) / file.removeprefix(source).lstrip("/")
                    if "/" in file
                    else self.inside(target) / file
                )
                to.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / file, to)

    def do(self, steps: list[tuple[str, str]], earlier: "Built | None" = None) -> "Built":
        for word, rest in steps:
            if word == "WORKDIR":
                self.cwd = self.inside(rest)
                self.cwd.mkdir(parents=True, exist_ok=True)
            elif word == "ARG":
                name, _, value = rest.partition("=")
                self.env.setdefault(name, value)
            elif word == "ENV":
                pairs = (pair.split("=", 1) for pair in rest.split())
                self.env |= {
                    name: value.replace("/tmp/", f"{self.root}/tmp/") for name, value in pairs
                }
            elif word == "COPY":
                self.copy(rest, earlier)
            elif word == "RUN":
                p = subprocess.run(
                    ["sh", "-c", rest], cwd=self.cwd, env=self.env, capture_output=True, text=True
                )
                assert p.returncode == 0, f"RUN {rest}\n{p.stdout[-2000:]}\n{p.stderr[-2000:]}"
            else:
                assert word in ("FROM", "USER", "EXPOSE", "VOLUME", "HEALTHCHECK", "CMD"), word
                self.said[word] = rest
        return self

    def start(self, command: str, **env) -> subprocess.Popen:
        pipes = {
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.STDOUT,
        }
        return subprocess.Popen(
            ["sh", "-c", command], cwd=self.cwd, env=self.env | env, text=True, **pipes
        )


def test_the_image_is_small_and_not_of_root():
    build, last = stages()
    said = dict(last)
    assert dict(build)["FROM"].endswith("-slim AS build") and said["FROM"].endswith("-slim")
    assert re.search(r"python:3\.(\d+)", said["FROM"])[1] >= SETTINGS["min_python"].split(".")[1]
    assert re.fullmatch(
        r"[1-9]\d{4}:[1-9]\d{4}", said["USER"]
    )  # a number: Kubernetes can tell that it is not root
    assert "KEY" not in " ".join(rest for word, rest in last if word == "ENV")
    compose = (ROOT / "compose.yaml").read_text(encoding="utf-8")
    assert set(re.findall(r"\$\{(\w+):\?", compose)) == {"PRODREC_API_KEY", "POSTGRES_PASSWORD"}


@pytest.mark.install
def test_the_image_builds_serves_and_stops(wheel, installed, tmp_path):
    import requests
    from postgres import free_port

    from prodrec import Recommender, load_demo
    from prodrec.apps.workspace import Versions, Workspace
    from prodrec.recommend.embedders import ColorHistogram, TfidfEmbedder

    build, last = stages()
    venv.create(tmp_path / "tools", with_pip=True)
    first = Built(tmp_path / "build", tmp_path / "tools" / "bin").do(build)
    with (
        zipfile.ZipFile(wheel) as one,
        zipfile.ZipFile(next((first.root / "source" / "dist").glob("*.whl"))) as other,
    ):
        assert sorted(one.namelist()) == sorted(other.namelist())
    image = Built(tmp_path / "image", installed).do(last, first)
    catalog = load_demo(40, seed=1)
    recommender = Recommender(image=ColorHistogram((20, 16)), text=TfidfEmbedder()).fit(catalog)
    Versions(image.cwd).add(Workspace(recommender=recommender, images=True))
    port = free_port()
    server = image.start(image.said["CMD"], PORT=str(port), PRODREC_API_KEY="secret")
    healthy = image.said["HEALTHCHECK"].partition(" CMD ")[2]
    try:
        for _ in range(60):
            if not image.start(healthy, PORT=str(port)).wait(20):
                break
            assert server.poll() is None, server.stdout.read()
            time.sleep(1)
        url, key = f"http://127.0.0.1:{port}", {"X-API-Key": "secret"}
        assert requests.post(f"{url}/recommend", data={"id": catalog.ids[0], "k": 3}).json()["hits"]
        put = requests.put(
            f"{url}/products/new", data={"fields": '{"title": "blue dress"}'}, headers=key
        )
        assert put.json()["products"] == len(catalog) + 1, put.text
    finally:
        server.terminate()
        said, _ = server.communicate(timeout=60)
    assert server.returncode in (0, -signal.SIGTERM), said
    assert image.start(healthy, PORT=str(port)).wait(20) != 0
    assert (image.cwd / "shop.sqlite").exists()


def test_a_part_that_other_code_has_measured_is_named():
    earlier = script("results_age").earlier_parts
    runs = {"search": {"commit": "b+", "date": "2026-01-02"}}
    assert earlier({}, "b".__eq__) == earlier({"made": runs}, "b".__eq__) == {}
    runs |= {"map": {"commit": "a", "date": "2026-01-01"}, "old": {"commit": None, "date": None}}
    found = earlier({"made": runs}, "b".__eq__)
    assert found == {"map": "2026-01-01", "old": "an unknown date"}
