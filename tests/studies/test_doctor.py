"""The doctor asks the programs that are here."""

from __future__ import annotations

import json

import pytest

from harness.studies.doctor import as_dict, diagnose
from tests.helpers.schemas import checked


@pytest.mark.slow
def test_doctor_finds_what_the_demo_needs() -> None:
    found = diagnose(ask_repeats=True)
    assert found.libvmaf and {"vmaf_v0.6.1", "vmaf_v1.0.16_5d0h"} <= set(found.vmaf_models)
    assert {"saliency_student_v1", "saliency_student_v2", "saliency_student_v3"} <= set(found.models)
    assert found.production in found.models
    facts = {encoder.name: encoder for encoder in found.encoders}
    assert facts["libx264"].obeys is True and facts["libx265"].obeys is True
    assert facts["libx264"].repeats is True and facts["libx265"].repeats is True
    assert facts["libsvtav1"].repeats is None
    assert facts["libsvtav1"].obeys is False and facts["libsvtav1"].reason
    assert checked("doctor", json.dumps({"schema_version": 1} | as_dict(found)))["encoders"][0]["name"] == "libx264"
