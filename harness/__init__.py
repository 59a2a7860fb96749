"""Train, evaluate, score, ROI-encode and gate the `mobilesal` saliency students."""

import os

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # before anything imports onnxruntime, children too

from harness.version import __version__

__all__ = ["__version__"]
