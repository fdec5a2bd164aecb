#!/bin/sh
# Every table that a GPU changes, in one command, for a GPU that is there for ten minutes and has no network.
#
#   sh benchmarks/gpu.sh prepare          on a machine with a network: small packages, into build/gpu
#   sh benchmarks/gpu.sh run FILE.json    on the GPU, from the same folder; 480 seconds unless --budget says otherwise
#   python -m benchmarks.tables FILE.json the tables
#
# The GPU's Python needs jax, flax, optax, chex, orbax-checkpoint, numba, rich and, for peers, torch. The checkout and build/gpu
# together are below 10 MiB. Rows are in the file within seconds, and the same command goes on where it was stopped.
set -e
cd "$(dirname "$0")/.."
case "$1" in
prepare)
    "${PYTHON:-python3}" -m pip install -q --no-deps --target build/gpu tyro docstring-parser typeguard higher lazy_loader
    ;;
run)
    file=$2
    shift 2
    export PYTHONPATH="$PWD/build/gpu${PYTHONPATH:+:$PYTHONPATH}"
    exec "${PYTHON:-python3}" -m benchmarks.all --gpu --json "$file" "$@"
    ;;
*)
    echo "usage: sh benchmarks/gpu.sh prepare | run FILE.json [options of benchmarks.all]" >&2
    exit 2
    ;;
esac
