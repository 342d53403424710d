"""Trials that end in every way a trial can end, for the tests of the campaign's harness."""

import os
import signal
import time

from campaign.harness import Kind


def kinds():
    """Return one kind of six trials, which runs in other processes."""
    return [
        Kind(
            "fake",
            "every ending",
            6,
            ("good",),
            _trial,
            batch=3,
            seconds=2,
            environment=(("CAMPAIGN_TRIALS", "tests.helpers.campaign_fakes"),),
        )
    ]


def _trial(index, folder):
    with open(os.environ["FAKE_LOG"], "a") as file:
        file.write(f"{index}\n")
    print("noise that is no report")
    if index == 1:
        os.kill(os.getpid(), signal.SIGSEGV)
    if index == 3:
        time.sleep(60)
    if index == 4:
        raise RuntimeError("broken trial")
    return ("good" if index != 5 else "bad"), f"trial {index}"
