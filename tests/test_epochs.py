"""Keras is loaded when it is needed, and not by those who search by words or by product."""

import subprocess
import sys
import textwrap

from builders import shop

from prodrec import ImageEmbedder, Recommender, TfidfEmbedder


def run(program: str) -> str:
    "Run a program in a new process and return what it prints."
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


LOADED = "print({m.split('.')[0] for m in sys.modules} & {'keras', 'tensorflow', 'keras_tuner'})"


def test_importing_the_apps_and_the_models_loads_no_keras():
    rooms = "recommend.recommender, recommend.embedders, apps.server, apps.browser, apps.cli"
    rooms += ", apps.commands_shop, models.classifier, models.engines, models.features"
    names = ", ".join(f"prodrec.{m.strip()}" for m in rooms.split(","))
    assert run(f"import sys, {names}\n{LOADED}") == "set()\n"


def test_a_query_by_words_or_product_loads_no_keras(tmp_path):
    from spaces import tiny_network  # imports Keras

    catalog = shop(30)
    made = Recommender(image=ImageEmbedder(tiny_network()), text=TfidfEmbedder()).fit(catalog)
    made.save(tmp_path / "r")
    program = f"""
        import sys
        from prodrec.recommend.recommender import Recommender

        r = Recommender.load({str(tmp_path / "r")!r})
        r.recommend(3, id=r.catalog.ids[0])
        r.recommend(3, text="red shirt")
        repr(r), r._repr_html_()
        {LOADED}
        r.recommend(3, image=r.catalog.pixels(r.catalog.ids[0]))
        print("keras" in sys.modules)
    """
    assert run(program) == "set()\nTrue\n"
