import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxmeta.training import checkpoint
from jaxmeta.training.checkpoint import CheckpointError, checkpoints, restore, save, verify
from jaxmeta.training.update import TrainState

_SCHEDULE = optax.inject_hyperparams(optax.adamw)(learning_rate=optax.linear_schedule(1e-3, 0.0, 100))
_OPTIMIZER = optax.chain(optax.clip_by_global_norm(1.0), optax.MultiSteps(_SCHEDULE, 2).gradient_transformation())


def _train(step: int = 0, width: int = 3, *, impl: str = "threefry2x32") -> TrainState:
    rng = np.random.default_rng(step)
    params = {
        "encoder/conv": {"kernel": jnp.asarray(rng.normal(size=(4, width)), jnp.float32)},
        "half": jnp.asarray(rng.normal(size=5), jnp.bfloat16),
        "rates": [jnp.float32(rng.normal()), jnp.asarray(rng.normal(size=2), jnp.float32)],
    }
    state = {"mean": jnp.asarray(rng.normal(size=width), jnp.float32), "count": jnp.int32(step), "nothing": {}}
    return TrainState(jnp.int32(step), jax.random.key(step, impl=impl), params, state, _OPTIMIZER.init(params))


def _bytes(train: TrainState) -> list[tuple]:
    def raw(leaf):
        is_key = jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        array = np.asarray(jax.random.key_data(leaf) if is_key else leaf)
        return str(leaf.dtype), array.shape, array.tobytes()

    return [raw(leaf) for leaf in jax.tree.leaves(train)]


def _flip_one_bit(content: bytes, rng: np.random.Generator) -> bytes:
    changed = bytearray(content)
    changed[rng.choice([at for at, byte in enumerate(content) if not chr(byte).isspace()])] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("impl", ["threefry2x32", "rbg"])
def test_restored_state_has_the_same_bits_and_structure(tmp_path, impl):
    train = _train(12, impl=impl)
    folder = save(tmp_path, train)
    back = restore(tmp_path, _train(0, impl=impl))
    assert folder == tmp_path / "step_0000000012"
    assert jax.tree.structure(back) == jax.tree.structure(train)
    assert _bytes(back) == _bytes(train)
    assert jax.random.uniform(back.key) == jax.random.uniform(train.key)


def test_values_that_compare_equal_or_unequal_to_themselves_keep_their_bits(tmp_path):
    odd = {
        "minus zero": np.full(4, -0.0, np.float32),
        "nan with payload": np.full(3, 0xFFC00123, np.uint32).view(np.float32),
        "subnormal": np.full(3, 1, np.uint32).view(np.float32),
        "no element": np.zeros((0, 7), np.int16),
        "wide": np.full(2, 2**60 + 1, np.int64),
        "number": 7,
    }
    train = _train(1)._replace(params=odd)
    save(tmp_path, train)
    back = restore(tmp_path, train).params
    assert back.pop("number") == odd.pop("number")
    for name, array in odd.items():
        assert (back[name].dtype, back[name].shape, back[name].tobytes()) == (array.dtype, array.shape, array.tobytes())


def test_array_that_is_tied_to_a_device_stays_tied_and_others_stay_free(tmp_path):
    train = _train(1)
    train.params["half"] = jax.device_put(train.params["half"], jax.devices()[0])
    save(tmp_path, train)
    back = restore(tmp_path, train)
    assert back.params["half"].committed
    assert not back.params["encoder/conv"]["kernel"].committed


def test_no_checkpoint_restores_to_none(tmp_path):
    assert restore(tmp_path, _train()) is None
    assert restore(tmp_path / "never made", _train()) is None


def test_newest_is_restored_and_only_keep_stay(tmp_path):
    for step in (5, 30, 9_999_999, 12_000_000):
        save(tmp_path, _train(step), keep=2)
    assert [folder.name for folder in checkpoints(tmp_path)] == ["step_0009999999", "step_0012000000"]
    assert int(restore(tmp_path, _train()).step) == 12_000_000


def test_keeping_none_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"keep=0"):
        save(tmp_path, _train(), keep=0)


def test_flipped_bit_in_any_file_falls_back_and_names_the_file(tmp_path, caplog):
    rng = np.random.default_rng(0)
    save(tmp_path, _train(1))
    newest = save(tmp_path, _train(2))
    names = _contents(newest).keys() - {"manifest.json"}
    assert len(names) >= 5
    for name in sorted(names):
        content = (newest / name).read_bytes()
        (newest / name).write_bytes(_flip_one_bit(content, rng))
        caplog.clear()
        assert int(restore(tmp_path, _train()).step) == 1
        assert f"{newest} is damaged ({name} has changed" in caplog.text
        (newest / name).write_bytes(content)
    assert int(restore(tmp_path, _train()).step) == 2


def test_flipped_bit_in_the_manifest_is_never_overlooked(tmp_path):
    rng = np.random.default_rng(0)
    folder = save(tmp_path, _train(1))
    content = (folder / "manifest.json").read_bytes()
    for _ in range(100):
        (folder / "manifest.json").write_bytes(_flip_one_bit(content, rng))
        assert verify(folder)


def _truncate(folder: Path) -> str:
    largest = max((folder / "state").rglob("*"), key=lambda path: path.stat().st_size if path.is_file() else -1)
    largest.write_bytes(largest.read_bytes()[:-1])
    return largest.name


def _remove(folder: Path) -> str:
    (folder / "leaves.json").unlink()
    return "leaves.json is missing"


def _add(folder: Path) -> str:
    (folder / "state" / "more").write_bytes(b"")
    return "state/more does not belong"


def _unseal(folder: Path) -> str:
    (folder / "manifest.json").unlink()
    return "manifest.json is missing"


def _empty_seal(folder: Path) -> str:
    (folder / "manifest.json").write_text('{"sha256": []}')
    return "manifest.json holds no hashes"


@pytest.mark.parametrize("damage", [_truncate, _remove, _add, _unseal, _empty_seal])
def test_damaged_folder_falls_back_and_says_what_is_wrong(tmp_path, caplog, damage):
    save(tmp_path, _train(1))
    expected = damage(save(tmp_path, _train(2)))
    with caplog.at_level(logging.WARNING, logger="jaxmeta"):
        assert _bytes(restore(tmp_path, _train())) == _bytes(_train(1))
    assert expected in caplog.text


def test_only_damaged_ones_is_an_error_naming_folder_and_files(tmp_path):
    _unseal(save(tmp_path, _train(1)))
    _remove(save(tmp_path, _train(2)))
    with pytest.raises(CheckpointError) as caught:
        restore(tmp_path, _train())
    for part in (str(tmp_path), "step_0000000001: manifest.json is missing", "step_0000000002: leaves.json is missing"):
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda like: _train(0, width=4), r"\['kernel'\] is float32\[4, 3\] there and float32\[4, 4\] here"),
        (lambda like: like._replace(state={}), r"state\['count'\] is int32\[\] there and not here"),
        (lambda like: like._replace(state=like.state | {"new": 1.0}), r"state\['new'\] is float64\[\] here and"),
        (lambda like: like._replace(step=jnp.float32(0)), r"step is int32\[\] there and float32\[\] here"),
        (lambda like: like._replace(key=jax.random.key(0, impl="rbg")), r"key is key<fry>\[\] threefry2x32 there"),
        (lambda like: like._replace(optimizer=optax.sgd(1.0).init(like.params)), r"optimizer\[1\].mini_step is int32"),
    ],
)
def test_another_structure_is_refused_naming_the_leaf(tmp_path, change, message):
    save(tmp_path, _train(3))
    with pytest.raises(CheckpointError, match=message):
        restore(tmp_path, change(_train(0)))


_FULL_DISK = """
import resource, sys
import jax, jax.numpy as jnp
from jaxmeta.training.checkpoint import save
from jaxmeta.training.update import TrainState

large = jax.random.normal(jax.random.key(0), (100_000,))
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
try:
    save(sys.argv[1], TrainState(jnp.int32(2), jax.random.key(0), large, {}, {}))
except OSError as error:
    print(error)
"""


def test_failed_write_leaves_earlier_checkpoints_and_no_rest(tmp_path):
    good = save(tmp_path, _train(1))
    before = _contents(good)
    # A limit on file sizes fails writes as a full disk does; in a process of its own, as orbax leaves threads behind.
    command = [sys.executable, "-c", _FULL_DISK, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    assert "earlier ones are untouched" in done.stdout and "step_0000000002" in done.stdout
    assert "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == [good.name]
    assert _contents(good) == before


def test_what_reads_back_differently_does_not_count(tmp_path, monkeypatch):
    save(tmp_path, _train(1))
    honest = checkpoint._payload
    wrong = {"state['mean']": np.zeros(3, np.float32)}
    monkeypatch.setattr(checkpoint, "_payload", lambda folder: honest(folder) | wrong)
    with pytest.raises(OSError, match=r"state\['mean'\] reads back"):
        save(tmp_path, _train(2))
    assert [path.name for path in tmp_path.iterdir()] == ["step_0000000001"]


def test_rest_of_a_killed_save_is_ignored_then_removed(tmp_path):
    rest = tmp_path / ".step_0000000007.draft"
    shutil.copytree(save(tmp_path, _train(7)), rest)
    shutil.rmtree(tmp_path / "step_0000000007")
    assert restore(tmp_path, _train()) is None
    save(tmp_path, _train(8))
    assert [path.name for path in tmp_path.iterdir()] == ["step_0000000008"]


def test_damaged_checkpoint_is_replaced_when_its_step_is_reached_again(tmp_path):
    _unseal(save(tmp_path, _train(2)))
    save(tmp_path, _train(2))
    assert [path.name for path in tmp_path.iterdir()] == ["step_0000000002"]
    assert _bytes(restore(tmp_path, _train())) == _bytes(_train(2))


def test_damaged_later_checkpoint_does_not_push_out_good_earlier_ones(tmp_path):
    save(tmp_path, _train(100), keep=1)
    _unseal(save(tmp_path, _train(200), keep=2))
    save(tmp_path, _train(150), keep=1)
    assert int(restore(tmp_path, _train()).step) == 150


def test_every_file_is_flushed_before_the_folder_appears_and_its_name_after(tmp_path, monkeypatch):
    flushed: list[int] = []
    at_rename: list[int] = []
    real_sync, real_rename = os.fsync, Path.rename

    def fsync(descriptor):
        real_sync(descriptor)
        flushed.append(os.fstat(descriptor).st_ino)

    def rename(path, target):
        if Path(target).name.startswith("step_"):
            at_rename.extend(flushed)
            flushed.clear()
        return real_rename(path, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "rename", rename)
    folder = save(tmp_path, _train(1))
    assert {path.stat().st_ino for path in (folder, *folder.rglob("*"))} <= set(at_rename)
    assert flushed == [tmp_path.stat().st_ino]


def test_saving_and_restoring_say_nothing(tmp_path, caplog, capfd):
    with caplog.at_level(logging.INFO):
        save(tmp_path, _train(1))
        restore(tmp_path, _train())
    assert [record for record in caplog.records if record.name in ("absl", "jaxmeta")] == []
    assert capfd.readouterr() == ("", "")
