from jaxmeta.data.progress import progress_bar


def test_progress_without_a_terminal_is_a_plain_line_every_ten_seconds(monkeypatch, capsys):
    now = iter([1.0, 6.0, 11.0, 16.0, 21.5])
    monkeypatch.setattr("time.monotonic", lambda: next(now))
    with progress_bar("features of words", 1000, True) as advance:
        for _ in range(5):
            advance(100)
    # 200 in 10 s leaves 700 for 35 s; the next line is due 10 s later.
    assert capsys.readouterr().err.splitlines() == [
        "features of words: 300 of 1,000, about 35 s left",
        "features of words: 500 of 1,000, about 26 s left",
    ]


def test_progress_can_be_turned_off(monkeypatch, capsys):
    now = iter(range(0, 1000, 100))
    monkeypatch.setattr("time.monotonic", lambda: next(now))
    with progress_bar("features", 3, False) as advance:
        advance(1)
        advance(1)
    assert capsys.readouterr().err == ""
