"""The benchmark of operations: which kind an operation is of, and what shares are of."""

import pytest

from benchmarks.operations import profile

PROGRAM = """
fused {
  ROOT %tanh.3 = f32[4]{0} tanh(%x)
}
ENTRY %main {
  %fusion.1 = f32[4] fusion(%a), metadata={op_name="jit(update)/Convolution_1/convolution_kernel/conv_general_dilated"}
  %fusion.2 = f32[4] fusion(%a), metadata={op_name="jit(update)/Convolution_1/convolution_kernel/transpose"}
  %dot.4 = f32[4] dot(%a, %b), metadata={op_name="jit(update)/head/dot_general"}
  %while.5 = f32[4] while(%a), metadata={op_name="jit(update)/while"}
  %reduce.6 = f32[] reduce(%a), metadata={op_name="jit(update)/norm/reduce_sum"}
  %copy.7 = f32[4] copy(%a)
  ROOT %add_select_fusion = f32[4] fusion(%a), metadata={op_name="jit(update)/add"}
}
"""


def test_operations_have_the_kind_of_the_source_that_they_end_with():
    assert profile.kinds(PROGRAM) == {
        "tanh.3": "element by element, and all else",
        "fusion.1": "convolutions: kernels' gradients",
        "fusion.2": "copies for convolutions",
        "dot.4": "products of matrices",
        "reduce.6": "sums and largest values",
        "copy.7": "copies",
        "add_select_fusion": "element by element, and all else",
    }


def test_shares_are_of_the_time_of_operations_and_other_programs_do_not_count():
    kinds = {"dot.1": "products of matrices", "dot.2": "products of matrices", "copy.3": "copies"}
    taken = {"dot.1": 0.125, "dot.2": 0.25, "copy.3": 0.125, "of another program": 9.0}
    assert profile.shares(kinds, taken, wall=0.75) == [
        {"kind": "products of matrices", "ms": 375, "%": 75},
        {"kind": "copies", "ms": 125, "%": 25},
        {"kind": "all, by the clock", "ms": 750, "%": None},
    ]


@pytest.mark.slow
def test_a_profile_sees_the_operations_of_an_update(tmp_path):
    config = profile.Config(tmp_path / "operations.json", workloads=("words",), tasks=1, updates=1)
    rows = profile.main(config)["rows"]
    assert sum(row["%"] or 0 for row in rows) == pytest.approx(100)
    share = {row["kind"]: row["%"] for row in rows}
    assert {f"convolutions: {role}" for role in ("outputs", "inputs' gradients", "kernels' gradients")} < set(share)
    assert all(row["milliseconds an update"] > 0 for row in rows)
