"""The documentation site, built from the notebooks as they are stored."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# all of them take a minute and a half: `make docs` builds those
SOME = ("index.ipynb", "results.ipynb", "00_core.ipynb", "recipes/fashion.ipynb")


def test_some_pages_are_built_and_load_nothing_from_elsewhere(tmp_path):
    "The script says which link leads nowhere, and which page asks another host for something."
    command = [sys.executable, ".ci/docs.py", tmp_path / "site", *SOME]
    p = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert p.returncode == 0, p.stdout[-2000:] + p.stderr[-2000:]
    page = (tmp_path / "site" / "index.html").read_text(encoding="utf-8")
    assert "prodrec" in page and (tmp_path / "site" / "recipes" / "fashion.html").exists()
