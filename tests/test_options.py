"""The options of every command: each example is understood, wrong values are refused, help is
light.
"""

import subprocess
import sys

import pytest
from terminal import examples_of, exit_code

import prodrec
from prodrec.apps.cli import parser
from prodrec.apps.options import SOURCES


def test_every_reader_has_a_name():
    readers = {name.removeprefix("read_") for name in prodrec.__all__ if name.startswith("read_")}
    assert set(SOURCES) == readers - {"data", "table"} | {"demo"}


COMMANDS = list(parser()._subparsers._group_actions[0].choices)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_example_is_understood(command, capsys):
    found = examples_of(command)
    assert found and all(call[0] == command for call in found[:1])
    for call in found:
        parser().parse_args(call)
    assert exit_code(command, "--help") == 0 and "--json" in capsys.readouterr().out


def test_help_is_light(tmp_path):
    code = "import sys; from prodrec.apps.cli import main\ntry: main(sys.argv[1:])\nfinally: print(*sys.modules)"  # noqa: E501
    for call in (["--help"], ["train", "--help"], ["train"]):
        done = subprocess.run(
            [sys.executable, "-c", code, *call], capture_output=True, text=True, cwd=tmp_path
        )
        assert not {"tensorflow", "keras", "pandas", "numpy"} & set(done.stdout.split())
