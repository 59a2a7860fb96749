"""Measurements for the gate's rules."""

from __future__ import annotations

from harness.gate.rules import Kind, Rule
from harness.gate.verdict import Measurement


def winning(rule: Rule) -> Measurement:
    """A measurement that passes the rule with room to spare."""
    if rule.kind is Kind.FACT:
        return Measurement(rule.key, 1.0, count=rule.whole)
    value = rule.threshold + (-0.5 if rule.kind is Kind.AT_MOST else 0.5)
    return Measurement(rule.key, value, value - 0.1, value + 0.1, 1e-4, rule.threshold, rule.whole)
