"""The compression experiment: its table, its pictures and its presets."""

from experiments.compress.__main__ import COLUMNS, PRESETS, plot, shown
from jaxmeta.training.report import markdown_table

SIZES = {"network": "chain", "test": "t", "kind": "rounded", "float_bytes": 80, "user_bytes": 100}
MEANS = {"before": 1.0, "after": 106.2, "after_half": 0.5, "change": 0.0, "change_half": 0.1}
ROWS = [
    SIZES | MEANS | {"compressed": "float32", "bytes": 80, "reversed": 2.0, "reversed_half": 0.2},
    SIZES | MEANS | {"compressed": "rewound", "bytes": 40, "change": -3.0, "change_low": -4.0, "change_high": -2.0},
]


def test_the_table_says_sizes_changes_and_both_orders():
    lines = markdown_table(shown(ROWS), COLUMNS).splitlines()
    assert lines[2] == "| chain, t | float32 | 0.1 | 1.00 | 1.0 | 106.2 ± 0.5 | +0.0 ± 0.1 | 0.1 | 2.0 ± 0.2 |"
    assert lines[3] == "| chain, t | rewound | 0.0 | 2.00 | 1.0 | 106.2 ± 0.5 | -3.0 (-4.0 to -2.0) | 0.1 | – |"


def test_there_is_a_picture_for_each_network(tmp_path):
    plot(tmp_path, ROWS)
    assert (tmp_path / "chain_t.png").stat().st_size > 10_000


def test_the_full_preset_prunes_what_the_target_asks_for():
    assert 0.8 in PRESETS["full"].words_again["sparse"] and 0.8 in PRESETS["full"].speech_again["sparse"]
