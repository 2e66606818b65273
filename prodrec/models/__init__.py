"""Load Keras once for all modules of this room, without the lines that TensorFlow writes when it starts.

Those lines say which instructions of the processor are used and that there is no GPU. They are written before any
setting is read, straight to the file descriptor of standard error. Here that descriptor leads to a file while Keras is
imported; all other lines, and everything if the import fails, are written to standard error afterwards.
"""

import os as _os
import re as _re
import sys as _sys
import tempfile as _tempfile
from contextlib import contextmanager as _contextmanager

_GREETING = _re.compile(
    rb"^(I\d{4} |WARNING: All log messages before absl|To enable the following instructions|\d{4}-\d\d-\d\d .*: I )"
)


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


if "keras" not in _sys.modules:
    _os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with _without_greetings():
        import keras as _keras  # noqa: F401
