"""Former names of modules and functions work for one version, and say what to write instead."""

import importlib
import subprocess
import sys

import pytest

from prodrec._renamed import MODULES, NAMES, former


@pytest.mark.parametrize(("old", "new"), MODULES.items())
def test_a_renamed_module_answers_as_its_successor(old, new):
    sys.modules.pop(old, None)
    with pytest.warns(DeprecationWarning, match=f"`{old}` is now `{new}`"):
        alias = importlib.import_module(old)
    module = importlib.import_module(new)
    assert module.__all__
    for name in set(module.__all__) - set(NAMES.get(old, ())):
        assert getattr(alias, name) is getattr(module, name)


@pytest.mark.parametrize(("module", "name"), [(m, n) for m in NAMES for n in NAMES[m]])
def test_a_renamed_name_is_the_new_one(module, name):
    new = NAMES[module][name]
    place, _, attribute = new.rpartition(".")
    with pytest.warns(DeprecationWarning, match=f"{name}` is now "):
        found = former(module, name)
    assert found is getattr(importlib.import_module(place or module), attribute)


def test_a_former_name_can_be_imported_from_its_module():
    code = "from prodrec.core import Stages, Profiler; assert Stages is Profiler; import prodrec.data.sources"  # noqa: E501
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True
    )
    assert done.returncode and "DeprecationWarning" in done.stderr
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_name_that_never_was_is_refused():
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        importlib.import_module("prodrec.core").nothing  # noqa: B018
    with pytest.raises(AttributeError, match="has no name 'Nothing'; it has Catalog"):
        importlib.import_module("prodrec").Nothing  # noqa: B018
