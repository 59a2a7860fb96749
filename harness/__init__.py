"""Train, evaluate, score, ROI-encode and gate the `mobilesal` saliency students.

What this package offers to Python stands in `__init__.pyi`, and is imported when it is first used; `docs/api.md` shows
each on real input.
"""

import os

import lazy_loader

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # before anything imports onnxruntime, children too

from harness.version import __version__

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
__all__ += ["__version__"]
