"""Commands that the demo runs beside the page; here a few lines of Python stand for them."""

import subprocess
import sys
import threading

import pytest

from jaxmeta.cli.demo.jobs import Job, Jobs, _follow

pytestmark = pytest.mark.slow


def run(script, finish=lambda: None):
    jobs = Jobs([sys.executable, "-c"])
    jobs.start("adapt", [script], finish)
    jobs._thread.join(600)
    return jobs.last


def test_what_a_command_prints_is_its_result_and_its_progress_is_shown():
    taken = threading.Event()
    job = run(
        "import sys; print('encoding: 1 of 3 recordings', file=sys.stderr); print('{\"change\": -1.5}')", taken.set
    )
    view = job.view()
    assert view["state"] == "done" and view["result"] == {"change": -1.5} and taken.is_set()
    assert (view["done"], view["total"], view["message"]) == (1, 3, "encoding: 1 of 3 recordings")


def test_the_line_that_a_command_ends_with_is_the_error():
    job = run("import sys; print('a\\njaxmeta: row 3: too long', file=sys.stderr); sys.exit(2)", lambda: 1 / 0)
    assert (job.state, job.error) == ("failed", "row 3: too long")
    assert run("import sys; sys.exit(9)").error == "the command ended with status 9"
    assert run("print('no JSON')").state == "failed"


def test_a_result_that_cannot_be_taken_over_is_an_error():
    def finish():
        raise ValueError("card.json: damaged")

    assert run("print('{}')", finish).error == "card.json: damaged"


def test_an_error_of_the_demo_itself_does_not_leave_a_command_running_for_ever():
    process = subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    job = Job("adapt")
    with pytest.raises(ZeroDivisionError):
        _follow(process, job, lambda: 1 / 0)
    assert job.state == "failed" and "terminal" in job.error


def test_a_command_is_cancelled_and_the_next_can_begin():
    jobs = Jobs([sys.executable, "-c"])
    jobs.cancel()
    jobs.start("adapt", ["import time; time.sleep(600)"], lambda: 1 / 0)
    with pytest.raises(ValueError, match="wait for it, or cancel it"):
        jobs.start("adapt", [""], lambda: None)
    jobs.cancel()
    assert jobs.last.state == "cancelled" and jobs._process.returncode == -15
    jobs.start("adapt", ["print('{}')"], lambda: None)
    jobs._thread.join(600)
    assert jobs.last.state == "done"
