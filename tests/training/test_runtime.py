"""What prepare changes in a process, seen from one of its own."""

import subprocess
import sys

SCRIPT = """
import sys
from jaxmeta.training.runtime import prepare
prepare(devices=3, compiled=sys.argv[1])
import jax, jax.numpy as jnp
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
assert jax.device_count() == 3
jax.jit(lambda x: jnp.sin(x) @ x)(jnp.ones((3, 3)))
prepare()
try:
    prepare(devices=2)
except RuntimeError:
    print("late")
"""


def test_devices_are_fixed_when_jax_starts_and_programs_are_kept(tmp_path):
    folder = tmp_path / "compiled"
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT, str(folder)], capture_output=True, text=True, check=False
    )
    assert run.stdout == "late\n", run.stderr
    assert any(folder.iterdir())
