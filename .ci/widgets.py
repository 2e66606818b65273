"""Take out of the notebooks what only a running kernel shows: widgets and TensorFlow's greeting."""

import json
import re
from pathlib import Path

VIEW = "application/vnd.jupyter.widget-view+json"
GREETING = re.compile(
    r"^(?:[IWE]\d{4} |WARNING: All log messages before|To enable the following).*\n?", re.M
)


def cleaned(outputs: list[dict]) -> list[dict]:
    "Return the outputs that stay."
    kept = []
    for output in outputs:
        data = output.get("data", {})
        if data.pop(VIEW, None) is not None and not "".join("".join(d) for d in data.values()):
            continue
        if output.get("name") == "stderr":
            text = GREETING.sub("", "".join(output["text"]))
            if not text.strip():
                continue
            output["text"] = text.splitlines(keepends=True)
        kept.append(output)
    return kept


for path in sorted(Path(__file__).resolve().parent.parent.glob("nbs/**/*.ipynb")):
    text = path.read_text(encoding="utf-8")
    notebook = json.loads(text)
    notebook["metadata"].pop("widgets", None)
    for cell in notebook["cells"]:
        if cell.get("outputs"):
            cell["outputs"] = cleaned(cell["outputs"])
    clean = json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"
    if clean != text and (VIEW in text or '"widgets"' in text or "stderr" in text):
        path.write_text(clean, encoding="utf-8")
