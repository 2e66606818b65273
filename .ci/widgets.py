"""Take out of the notebooks what only a running kernel can show: views of widgets, and their state. The static picture stays."""

import json
from pathlib import Path

VIEW = "application/vnd.jupyter.widget-view+json"

for path in sorted(Path(__file__).resolve().parent.parent.glob("nbs/**/*.ipynb")):
    text = path.read_text(encoding="utf-8")
    notebook = json.loads(text)
    notebook["metadata"].pop("widgets", None)
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            output.get("data", {}).pop(VIEW, None)
    clean = json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"
    if VIEW in text or '"widgets"' in text:
        path.write_text(clean, encoding="utf-8")
