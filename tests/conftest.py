"""What all tests share: the real data where there is some, Ctrl-C, and how hard Hypothesis looks.

Hypothesis profiles: ``ci`` (default) draws the same examples on every run and has no deadline, as the first
call of a kernel may compile it; ``HYPOTHESIS_PROFILE=thorough`` draws more of them, and new ones each time.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "ci", deadline=None, max_examples=60, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("thorough", deadline=None, max_examples=2000, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

# A shell ignores Ctrl-C for what it runs in the background, and so would every process that a test starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Return the folder of real masks and predictions that IAMIOU_REAL_DATA names, or skip and say so."""
    named = os.environ.get("IAMIOU_REAL_DATA")
    if not named:
        pytest.skip("set IAMIOU_REAL_DATA to a folder with voc/, coco/ and predictions/ to run this on real masks")
    folder = Path(named)
    if not folder.is_dir():
        pytest.fail(f"IAMIOU_REAL_DATA names '{folder}', which is no folder; correct it or unset it")
    return folder
