"""The documentation site, built from the notebooks as they are stored."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def test_the_site_is_built_and_loads_nothing_from_elsewhere(tmp_path):
    "The script says which link leads nowhere, and which page asks another host for something."
    p = subprocess.run(
        [sys.executable, ".ci/docs.py", tmp_path / "site"], cwd=ROOT, capture_output=True, text=True
    )
    assert p.returncode == 0, p.stdout[-2000:] + p.stderr[-2000:]
    page = (tmp_path / "site" / "index.html").read_text(encoding="utf-8")
    assert "prodrec" in page
