"""The gate: may these weights go to production?"""

from harness.gate.run import run_gate

__all__ = ["run_gate"]
