"""Load Keras when it is first used, once for all modules, without the lines that TensorFlow writes
when it starts.

The modules of this room and of `recommend` say `from prodrec.models import keras`. What they get is
a module that imports the real one when one of its names is first used, so a search by words or by
product never waits for TensorFlow.

TensorFlow's first lines say which instructions of the processor are used and that there is no GPU.
They are written before any setting is read, straight to the file descriptor of standard error. Here
that descriptor leads to a file while Keras is imported; all other lines, and everything if the
import fails, are written to standard error afterwards.

Its warning that a function was traced again is left out too. A recommender has several networks,
and each is traced once for each size of a batch; there is nothing to be done about it.
"""

import logging as _logging
import os as _os
import re as _re
import sys as _sys
import tempfile as _tempfile
import threading as _threading
from contextlib import contextmanager as _contextmanager
from importlib import import_module as _import_module
from types import ModuleType as _ModuleType
from typing import TYPE_CHECKING as _TYPE_CHECKING

_GREETING = _re.compile(
    rb"^(I\d{4} |WARNING: All log messages before absl|To enable the following instructions|\d{4}-\d\d-\d\d .*: I )"  # noqa: E501
)
# two threads must not both lead standard error elsewhere
_LOADING = _threading.RLock()


@_contextmanager
def _without_greetings():
    "Leave out of standard error, in the block, the lines that only say what TensorFlow found."
    try:
        before = _os.dup(2)
    except OSError:  # there is no standard error
        yield
        return
    with _tempfile.TemporaryFile() as caught:
        _sys.stderr.flush() if _sys.stderr else None
        _os.dup2(caught.fileno(), 2)
        failed = True
        try:
            yield
            failed = False
        finally:
            _os.dup2(before, 2)
            _os.close(before)
            caught.seek(0)
            lines = caught.read().splitlines(keepends=True)
            rest = b"".join(x for x in lines if failed or not _GREETING.match(x))
            if rest:
                _os.write(2, rest)


def _is_news(record: _logging.LogRecord) -> bool:
    "Return False for the warning of TensorFlow that a function was traced again."
    return "triggered tf.function retracing" not in str(record.msg)


def _load(name: str) -> _ModuleType:
    "Return a module of Keras, or of a package built on it, imported if it is not yet."
    with _LOADING:
        if "keras" not in _sys.modules:
            # without a GPU its only error is that there is none
            level = "2" if _os.path.exists("/dev/nvidiactl") else "3"
            _os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", level)
            _logging.getLogger("tensorflow").addFilter(_is_news)
            with _without_greetings():
                _import_module("keras")
        return _import_module(name)


class _Lazy(_ModuleType):
    "Stand for a module; import it when one of its names is first used."

    def __getattr__(self, name: str):
        # inspection asks every object for names such as `__wrapped__`
        asked_of_any = name.startswith("__") and name != "__version__"
        if asked_of_any and self.__name__ not in _sys.modules:
            raise AttributeError(f"module {self.__name__!r} is not loaded yet")
        return getattr(_load(self.__name__), name)

    def __dir__(self):
        return dir(_load(self.__name__))

    def __repr__(self):
        state = "loaded" if self.__name__ in _sys.modules else "loaded when it is first used"
        return f"<module {self.__name__!r}, {state}>"


if _TYPE_CHECKING:
    import keras as keras
    import keras_tuner as keras_tuner
    from keras import layers as layers
    from keras import ops as ops
else:
    keras, keras_tuner = _Lazy("keras"), _Lazy("keras_tuner")
    layers, ops = _Lazy("keras.layers"), _Lazy("keras.ops")
