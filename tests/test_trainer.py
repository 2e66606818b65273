"""A trainer of one's own, from numbers; what `fit` refuses and what a failure leaves; Keras loads
in silence.
"""

import os
import subprocess
import sys

import keras
import numpy as np
import pandas as pd
import pytest

from prodrec.data.catalog import Catalog
from prodrec.models.features import Rows
from prodrec.models.trainer import Trainer, training_owner, undone_on_failure, warn_of_labels
from prodrec.models.training import TRAINING


class Numbers(Trainer):
    "Learn from one column of numbers."

    network, options = "numbers", {}

    def read_catalog(self, catalog):
        known = catalog.products["price"].dropna()
        failed = [(i, "no price") for i in catalog.ids if i not in known.index]
        return known.to_numpy(np.float32)[:, None], known.index.tolist(), failed

    def build(self, x, n_classes):
        inputs = keras.Input((1,))
        return keras.Model(inputs, keras.layers.Dense(n_classes, activation="softmax")(inputs))


def shop(n=30, **columns):
    frame = {"price": np.where(np.arange(n) % 2, 3.0, -3.0), "category": ["b", "a"] * (n // 2)}
    return Catalog(pd.DataFrame(frame | columns, index=[f"p{i}" for i in range(n)]))


def made(**training):
    return Numbers("category", 0, 8, TRAINING | {"learning_rate": 0.1} | training)


def test_two_methods_are_enough():
    trainer = made().fit(shop(), shop(), epochs=8)
    assert trainer.classes_ == ["a", "b"] and trainer.history_.val_accuracy.iloc[-1] == 1


def test_what_cannot_be_read_is_left_out():
    catalog = shop(price=[np.nan, np.nan, *np.ones(28)])
    with pytest.warns(
        UserWarning,
        match="2 of 30 products cannot be read and are left out, e.g. .'p0', 'no price'",
    ):
        x, labels = made().training_data(catalog)
    assert len(x) == len(labels) == 28 and "p0" not in labels


def test_a_failure_leaves_a_trained_one_as_it_was():
    trainer = made().fit(shop(), epochs=2)
    before = dict(vars(trainer))
    trainer.build = None
    with pytest.raises(TypeError):
        trainer.fit(shop(4), epochs=1)
    del trainer.build
    assert vars(trainer) == before


def test_plateau_needs_validation():
    with pytest.raises(ValueError, match='`schedule` "plateau" needs `validation`'):
        made(schedule="plateau").fit(shop())


def test_checkpoints_belong_to_products_and_labels():
    labels = pd.Series(["a", "b"], ["x", "y"])
    one = training_owner(made(), [labels], 5)
    assert one == training_owner(
        made(), [labels.copy()], 9
    )  # a constant rate does not depend on the end
    assert one != training_owner(made(), [labels[::-1]], 5)
    assert training_owner(made(schedule="cosine"), [labels], 5)["epochs"] == 5


def test_undone_on_failure():
    trainer = made()
    with pytest.raises(KeyboardInterrupt), undone_on_failure(trainer):
        trainer.seed, trainer.more = 9, 1
        raise KeyboardInterrupt
    assert trainer.seed == 0 and not hasattr(trainer, "more")


def test_rows_are_read_when_they_are_asked_for():
    rows = Rows(np.arange(10), np.array([9, 0, 5]))
    assert len(rows) == 3 and rows[np.array([2, 0])].tolist() == [5, 9]


@pytest.mark.filterwarnings("error")
def test_few_products_and_plain_labels_are_not_warned_of():
    warn_of_labels(pd.Series([f"n{n}" for n in range(49)]), "category")
    warn_of_labels(pd.Series(["T-shirts / tops", "shoes"] * 50), "category")
    warn_of_labels(
        pd.Series(["a > b"] * 100), "category"
    )  # one path for all: nothing would be gained


def test_keras_loads_in_silence_and_errors_are_heard():
    clean = {k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"}
    code = (
        "import os; from prodrec.models import keras; keras.ops.ones(2) + 1; os.write(2, b'heard')"
    )
    done = subprocess.run([sys.executable, "-c", code], env=clean, capture_output=True, check=True)
    assert done.stderr == b"heard", done.stderr
    code = (
        "import os\nfrom prodrec.models import _without_greetings\n"
        "try:\n    with _without_greetings():\n        os.write(2, b'I0000 why it failed\\n'); raise ImportError\n"  # noqa: E501
        "except ImportError: pass\n"
        "with _without_greetings(): os.write(2, b'I0000 hello\\nan error\\n')"
    )
    done = subprocess.run([sys.executable, "-c", code], env=clean, capture_output=True, check=True)
    assert done.stderr == b"I0000 why it failed\nan error\n"
