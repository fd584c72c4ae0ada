"""`seglab report`: the command as a process."""

import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
from helpers.reports import tables

from seglab.evaluation.reading import read


@pytest.mark.slow
def test_report_continues_after_it_was_killed(written, tmp_path):
    """A real process, killed while it evaluates; then the same command again."""
    plan, out = tmp_path / "plan.json", tmp_path / "out"
    shutil.copy(written / "plan.json", plan)
    command = [sys.executable, "-m", "seglab", "report", str(plan), "--out", str(out)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    for _ in range(600):
        if (out / "counts.sqlite").is_file() and finished(out) >= 4:
            break
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (out / "index.html").exists()
    assert finished(out) < 30
    run = subprocess.run(command, check=True, capture_output=True, text=True)
    assert run.stdout.splitlines()[-1] == f"the report is in {out / 'index.html'}"
    assert tables(out) == tables(written)


def finished(out):
    try:
        return len(read(out / "counts.sqlite").images)
    except (ValueError, OSError):
        return 0
