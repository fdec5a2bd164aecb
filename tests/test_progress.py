import io
from collections import deque

import pytest

from jaxmeta.progress import duration, progress_bar, seconds_left, stage, stages


class _Terminal(io.StringIO):
    def isatty(self):
        return True


class _Clock:
    now = 1000.0

    def __call__(self):
        return self.now


def test_without_a_terminal_there_is_a_plain_line_every_ten_seconds(capsys):
    clock = _Clock()
    with progress_bar("features of words", 1000, unit="files", clock=clock) as advance:
        for _ in range(5):
            clock.now += 5
            advance(100)
    # 200 in 10 s, so 800 take 40 s; and a last line, as five seconds passed since the line before it.
    assert capsys.readouterr().err.splitlines() == [
        "features of words: 200 of 1,000 files",
        "features of words: 400 of 1,000 files, 30 s left",
        "features of words: 500 of 1,000 files, 25 s left",
    ]


def test_the_end_of_a_short_loop_is_not_worth_a_line(capsys):
    clock = _Clock()
    with progress_bar("features", 2, clock=clock) as advance:
        clock.now += 0.5
        advance(2)
    assert capsys.readouterr().err == ""


def test_progress_can_be_turned_off(capsys):
    clock = _Clock()
    with progress_bar("features", 3, False, clock=clock) as advance:
        for _ in range(2):
            clock.now += 100
            advance(1)
    assert capsys.readouterr().err == ""


def test_time_left_does_not_count_reports_that_waited_for_a_compilation():
    steps = [(30.0, 1), *[(0.25, 1)] * 40, (20.0, 1)]
    assert seconds_left(deque(steps), 100) == pytest.approx(25)
    assert seconds_left(deque(steps[:1]), 100) is None  # who knows what that one waited for
    assert seconds_left(deque([(0.0, 64)] * 12), 100) is None  # processes that all began to report at once
    # Two processes that report at the same moment have waited for nothing but their work: 4 s for two units.
    assert seconds_left(deque([(0.0, 1), (4.0, 1)] * 5), 10) == pytest.approx(20)


def test_stages_are_counted_and_timed_and_summed_up():
    clock, stream = _Clock(), io.StringIO()
    with stages(2, stream=stream, clock=clock) as seconds:
        with stage("synthesising"):
            clock.now += 21
        with stage("training"):
            assert seconds == {"synthesising": 21, "training": 0}
            with progress_bar("training", 500, unit="updates", compiles=True, stream=stream, clock=clock) as advance:
                clock.now += 40
                advance(1)
                for _ in range(2):
                    clock.now += 5
                    advance(2, "loss 1.23")
            clock.now += 50
    assert seconds == {"synthesising": 21, "training": 100}
    assert stream.getvalue().splitlines() == [
        "[1/2] synthesising",
        "[2/2] training",
        "[2/2] training: compiling",
        "[2/2] training: 1 of 500 updates",
        "[2/2] training: 5 of 500 updates, loss 1.23, 20 min 38 s left",
        "synthesising 21 s, training 1 min 40 s; 2 min 1 s in all",
    ]


def test_a_stage_outside_of_a_run_shows_nothing(capsys):
    with stage("training"):
        pass
    assert capsys.readouterr().err == ""


def test_a_run_that_fails_is_not_summed_up_and_leaves_no_stage_behind():
    clock, stream = _Clock(), io.StringIO()
    with pytest.raises(KeyError), stages(3, stream=stream, clock=clock), stage("training"):
        raise KeyError
    with progress_bar("features", 10, stream=stream, clock=clock) as advance:
        clock.now += 10
        advance(5)
    assert stream.getvalue().splitlines() == ["[1/3] training", "features: 5 of 10"]


def test_a_terminal_shows_the_bar_of_the_run_and_that_of_the_loop(monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    clock, stream = _Clock(), _Terminal()
    with (
        stages(2, stream=stream, clock=clock),
        stage("training"),
        progress_bar("maml", 500, unit="updates", compiles=True, stream=stream, clock=clock) as advance,
    ):
        for _ in range(3):
            clock.now += 1
            advance(100, "loss 0.5")
    shown = stream.getvalue()
    assert "[1/2] training" in shown and "300 of 500 updates, loss 0.5, 2 s left" in shown


@pytest.mark.parametrize(("seconds", "text"), [(0.4, "0 s"), (59.6, "1 min 0 s"), (3661, "1 h 1 min")])
def test_durations_as_a_person_says_them(seconds, text):
    assert duration(seconds) == text
