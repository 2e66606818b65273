"""The oldest versions that settings.ini allows: `make lowest` installs exactly these and runs the
fast tests with them.

`python .ci/lowest.py EXTRA...` prints the pinned requirements, those of everybody and of each
extra, one to a line. None may have a hole that .ci/advisories.json knows: what an advisory says,
and the version that mends it.
"""

import json
import re
import sys
from configparser import ConfigParser
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def settings() -> dict[str, list[str]]:
    "Return the requirements of settings.ini by extra, those of everybody under ''."
    config = ConfigParser(delimiters=["="])
    config.read(ROOT / "settings.ini", encoding="utf-8")
    found = {
        name: text.split()
        for name, text in config["DEFAULT"].items()
        if name.endswith("requirements")
    }
    return {name.removesuffix("requirements").rstrip("_"): listed for name, listed in found.items()}


def floor(requirement: str) -> tuple[str, str | None]:
    "Return (name, oldest version allowed) of a requirement; None where it has no lower bound."
    name, bounds = re.fullmatch(r"([\w.-]+)(?:\[[\w,-]+\])?(.*)", requirement).groups()
    lowest = re.search(r"[>=]=([\d.]+)", bounds)
    return name.lower().replace("_", "-"), lowest and lowest[1]


def pinned(requirement: str) -> str:
    "Return the requirement at its floor; one without a lower bound stays as it is."
    return re.sub(r">=([\d.]+).*", r"==\1", requirement)


def numbers(version: str, length: int = 6) -> list[int]:
    "Return a version as numbers that compare: 12.3 is 12.3.0."
    found = [int(n) for n in version.split(".")]
    return found + [0] * (length - len(found))


def open_holes() -> list[str]:
    "Return a line for each advisory that the floors of settings.ini do not rule out."
    floors = dict(floor(r) for listed in settings().values() for r in listed)
    found = []
    for name, advisories in json.loads(
        (ROOT / ".ci" / "advisories.json").read_text(encoding="utf-8")
    ).items():
        if name not in floors:
            found.append(f"{name}: is in .ci/advisories.json, but settings.ini does not require it")
            continue
        for a in advisories:
            if floors[name] is None or numbers(floors[name]) < numbers(a["fixed_in"]):
                found.append(
                    f"{name}>={floors[name]}: {a['id']}, fixed in {a['fixed_in']}: {a['what']}"
                )
    return found


if __name__ == "__main__":
    known = settings()
    print("\n".join(pinned(r) for extra in ("", *sys.argv[1:]) for r in known[extra]))
