"""Train, evaluate, score, ROI-encode and gate the `mobilesal` saliency students."""

from harness.version import __version__

__all__ = ["__version__"]
