import importlib.util
import io
import json
import struct

import jax.numpy as jnp
import pytest

from jaxmeta.training.runlog import RunLog, read_metrics


class _Terminal(io.StringIO):
    def isatty(self):
        return True


class _Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def no_board(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "tensorboardX" else find(name))


def _lines(folder):
    return (folder / "metrics.jsonl").read_text().splitlines()


@pytest.mark.usefixtures("no_board")
def test_another_log_gets_the_numbers_of_each_new_row(tmp_path):
    rows = []
    for start in (0, 1):
        with RunLog(tmp_path, 2, start=start, stream=io.StringIO(), also=lambda m, step: rows.append((step, m))) as log:
            log.write(start + 1, {"loss": jnp.float32(0.25), "masked": 3, "validation": float("inf")})
    assert [step for step, _ in rows] == [1, 2]
    assert {name: number for name, number in rows[0][1].items() if name != "seconds"} == {
        "loss": 0.25, "masked": 3.0, "validation": float("inf"),
    }  # fmt: skip
    assert all(isinstance(number, float) for number in rows[0][1].values())


@pytest.mark.usefixtures("no_board")
def test_rows_are_json_lines_with_step_and_seconds_and_are_there_at_once(tmp_path):
    clock = _Clock()
    with RunLog(tmp_path / "run", 10, stream=io.StringIO(), clock=clock) as log:
        clock.now += 1.5
        log.write(1, {"loss": jnp.float32(0.25), "masked": jnp.int32(3)})
        assert _lines(tmp_path / "run") == [
            '{"step": 1, "seconds": 1.5, "loss": 0.25, "masked": 3, "crc32": "ae3b1f2d"}'
        ]
    assert not (tmp_path / "run" / "tensorboard").exists()


@pytest.mark.usefixtures("no_board")
def test_numbers_that_are_not_finite_are_strings_that_read_back(tmp_path):
    with RunLog(tmp_path, 10, stream=io.StringIO(), clock=_Clock()) as log:
        log.write(1, {"loss": jnp.float32("nan"), "up": float("inf"), "down": -jnp.inf})
    row = json.loads(_lines(tmp_path)[0], parse_constant=pytest.fail)
    del row["crc32"]
    assert row == {
        "step": 1,
        "seconds": 0.0,
        "loss": "NaN",
        "up": "Infinity",
        "down": "-Infinity",
    }
    (row,) = read_metrics(tmp_path)
    assert row["loss"] != row["loss"]
    assert (row["up"], row["down"]) == (float("inf"), -float("inf"))


@pytest.mark.usefixtures("no_board")
def test_resuming_drops_later_and_half_written_rows_and_goes_on_counting_seconds(tmp_path):
    clock = _Clock()
    with RunLog(tmp_path, 10, stream=io.StringIO(), clock=clock) as log:
        for step in range(1, 6):
            clock.now += 1
            log.write(step, {"loss": step})
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 6, "sec')
    clock.now += 100
    with RunLog(tmp_path, 10, start=3, stream=io.StringIO(), clock=clock) as log:
        clock.now += 2
        log.write(4, {"loss": 40})
    assert [(row["step"], row["seconds"], row["loss"]) for row in read_metrics(tmp_path)] == [
        (1, 1.0, 1),
        (2, 2.0, 2),
        (3, 3.0, 3),
        (4, 5.0, 40),
    ]


@pytest.mark.usefixtures("no_board")
def test_one_plain_line_every_ten_seconds_with_rate_and_time_left_since_the_first_step(tmp_path):
    clock, stream = _Clock(), io.StringIO()
    with RunLog(tmp_path, 10_000, stream=stream, clock=clock) as log:
        clock.now += 50  # compiling
        for step in range(1, 102):
            log.write(step, {"loss": 0.5})
            log.progress(step)
            clock.now += 0.25
    # A line when the first step was made; 100 steps of 0.25 s after it: every 40 steps, and one at the end.
    assert stream.getvalue().splitlines() == [
        f"training {tmp_path.name}: compiling",
        f"training {tmp_path.name}: 1 of 10,000 updates, loss 0.5",
        f"training {tmp_path.name}: 41 of 10,000 updates, loss 0.5, 41 min 30 s left",
        f"training {tmp_path.name}: 81 of 10,000 updates, loss 0.5, 41 min 20 s left",
        f"training {tmp_path.name}: 101 of 10,000 updates, loss 0.5, 41 min 15 s left",
    ]


@pytest.mark.usefixtures("no_board")
def test_terminal_gets_a_bar_with_the_time_left(tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    clock, stream = _Clock(), _Terminal()
    with RunLog(tmp_path, 100, start=20, label="maml", stream=stream, clock=clock) as log:
        for step in (21, 31, 41):
            log.write(step, {"loss": 1.25})
            log.progress(step)
            clock.now += 5
    assert "maml" in stream.getvalue() and "41 of 100 updates, loss 1.25, 30 s left" in stream.getvalue()


def test_rows_go_to_tensorboard_where_it_is_installed(tmp_path):
    pytest.importorskip("tensorboardX")
    from tensorboardX.proto.event_pb2 import Event

    with RunLog(tmp_path, 10, stream=io.StringIO()) as log:
        log.write(3, {"loss": 0.5, "broken": float("nan")})
    (file,) = (tmp_path / "tensorboard").iterdir()
    content, actual = file.read_bytes(), []
    while content:  # records of length (8 bytes), its checksum (4), an event, its checksum (4)
        (length,) = struct.unpack("<Q", content[:8])
        event = Event.FromString(content[12 : 12 + length])
        actual += [(value.tag, event.step, value.simple_value) for value in event.summary.value]
        content = content[16 + length :]
    assert actual == [("loss", 3, 0.5)]


@pytest.mark.parametrize("start", [-1, 11])
def test_start_outside_the_run_is_refused(tmp_path, start):
    with pytest.raises(ValueError, match=rf"start={start}, total=10"):
        RunLog(tmp_path, 10, start=start)


@pytest.mark.usefixtures("no_board")
@pytest.mark.parametrize(("before", "after"), [("0.25", "0.35"), ('"step": 2', '"step": 1'), ('"crc32"', '"crc33"')])
def test_a_damaged_row_is_named_and_nothing_is_resumed_on_it(tmp_path, before, after):
    with RunLog(tmp_path, 10, stream=io.StringIO(), clock=_Clock()) as log:
        for step in (1, 2):
            log.write(step, {"loss": step / 8})
    path = tmp_path / "metrics.jsonl"
    path.write_text(path.read_text()[::-1].replace(before[::-1], after[::-1], 1)[::-1])
    with pytest.raises(ValueError, match=r"metrics\.jsonl:2: damaged; delete the file"):
        read_metrics(tmp_path)
    with pytest.raises(ValueError, match=r"metrics\.jsonl:2: damaged"), RunLog(tmp_path, 10, start=2):
        pass


@pytest.mark.usefixtures("no_board")
def test_rows_that_were_put_in_another_order_are_damaged(tmp_path):
    with RunLog(tmp_path, 10, stream=io.StringIO(), clock=_Clock()) as log:
        for step in (1, 2):
            log.write(step, {"loss": step / 8})
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(f"{line}\n" for line in reversed(_lines(tmp_path))))
    with pytest.raises(ValueError, match=r"metrics\.jsonl:1: damaged"):
        read_metrics(tmp_path)
