"""Results are claimed before the work, by one command at a time, and leave nothing where the work fails."""

import errno

import pytest

from jaxmeta.cli.claimed import claimed
from jaxmeta.cli.endings import WritingError, status_of


@pytest.mark.parametrize("file", [False, True])
def test_of_two_commands_only_one_has_the_place(tmp_path, file):
    with claimed(tmp_path / "new" / "a", file=file):
        with pytest.raises(ValueError, match="exists; name a new"), claimed(tmp_path / "new" / "a", file=file):
            raise AssertionError("claimed twice")
        assert (tmp_path / "new" / "a").exists()


@pytest.mark.parametrize("file", [False, True])
@pytest.mark.parametrize("error", [ValueError("bad input"), KeyboardInterrupt(), SystemExit(143)])
def test_work_that_fails_leaves_nothing(tmp_path, file, error):
    out = tmp_path / "a"
    with pytest.raises(type(error)), claimed(out, file=file):
        (out if file else out / "part").write_text("half")
        raise error
    assert not out.exists()


def test_a_disk_that_is_full_is_said_with_the_place_and_status_74(tmp_path):
    out = tmp_path / "out"
    with pytest.raises(WritingError, match=r"out: cannot be written \(No space left") as caught, claimed(out):
        raise OSError(errno.ENOSPC, "No space left on device", str(out / "weights"))
    assert status_of(caught.value) == 74 and not out.exists()


def test_a_file_that_cannot_be_read_is_no_error_of_writing(tmp_path):
    with pytest.raises(FileNotFoundError), claimed(tmp_path / "runs" / "out"):
        (tmp_path / "recording").open()


def test_a_parent_that_is_a_file_is_said_before_the_work(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(WritingError, match="file is a file; name a folder"), claimed(tmp_path / "file" / "x"):
        raise AssertionError("the work has begun")
