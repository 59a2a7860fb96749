"""Train, evaluate, score, ROI-encode and gate the `mobilesal` saliency students."""

__version__ = "0.1.0"
