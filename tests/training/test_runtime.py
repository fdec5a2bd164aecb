"""What prepare changes in a process, seen from one of its own."""

import os
import subprocess
import sys

import pytest

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


@pytest.mark.slow
def test_commands_show_remarks_as_they_are_whatever_handler_orbax_brings(tmp_path):
    script = """
import logging
from jaxmeta.training.runtime import begin
begin()
import orbax.checkpoint
logging.getLogger("jaxmeta").warning("a remark")
"""
    environment = os.environ | {"JAXMETA_HOME": str(tmp_path)}
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment)
    assert run.stderr == "a remark\n"
