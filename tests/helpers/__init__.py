"""What several tests share: real clips, tiny models, measurements that pass."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
VECTORS = ROOT / "tests" / "vectors"
TINY = VECTORS / "mobilesal_tiny.onnx"
