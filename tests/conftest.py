"""Every test has a cache folder of its own, so that none depends on what another left behind."""

import gc
import os
import resource
import socket
import sys

import jax
import pytest

# Most time goes to compiling, and what is compiled runs for milliseconds.
jax.config.update("jax_disable_most_optimizations", True)
os.environ["XLA_FLAGS"] = "--xla_cpu_parallel_codegen_split_count=1"
if jax.__version_info__ < (0, 11):  # Versions of XLA stop at flags that they do not know.
    os.environ["XLA_FLAGS"] += " --xla_cpu_use_fusion_emitters=false"
elif jax.__version_info__ >= (0, 12):
    os.environ["XLA_FLAGS"] += " --xla_cpu_opt_preset=FAST_COMPILE"
# Tracing makes millions of small objects, among which there is little to find; modules are collected as they end.
gc.set_threshold(100_000, 50, 100)
MUCH = 1_500_000  # KiB, at most; all tests of a worker stay below twice that.
LONGEST = ("test_readme.py", "test_export.py", "test_cli.py", "test_seq2seq.py", "contract.py")


def refuse_connections(event: str, arguments: tuple) -> None:
    """No test opens a connection to anywhere but this machine."""
    if event == "socket.connect" and arguments[0].family != socket.AF_UNIX and arguments[1][0] not in HERE:
        raise AssertionError(f"a test connects to {arguments[1]}; tests need no network.")


HERE = ("127.0.0.1", "::1", "localhost")
sys.addaudithook(refuse_connections)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]):
    """Keep in one process what shares compiled programs: the cases of a learner, or else the tests of a file."""
    for item in items:
        name, _ = getattr(getattr(item, "callspec", None), "params", {}).get("case", ("", ""))
        item.add_marker(pytest.mark.xdist_group(f"{item.path.relative_to(item.config.rootpath)} {name}".rstrip()))
    items.sort(key=lambda item: item.path.name not in LONGEST)  # First, so that no process waits for another's last.


@pytest.fixture(autouse=True)
def cache_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch):
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("JAXMETA_HOME", str(folder))
    return folder


@pytest.fixture
def float64():
    """Numbers of 64 bits, for files whose `pytestmark` asks for them."""
    with jax.enable_x64(True):
        yield


@pytest.fixture(autouse=True, scope="module")
def programs_of_a_module():
    """Let go of the programs of modules, once a process has held much: those of all of them take gigabytes."""
    yield
    gc.collect()
    if resource.getrusage(resource.RUSAGE_SELF).ru_maxrss > MUCH:
        jax.clear_caches()
