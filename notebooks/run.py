"""Runs the notebooks beside this file, and writes their outputs into them: `python notebooks/run.py [NAME...]`.

With --check nothing is written. Needs the extra "notebooks". A cell that fails ends it with that cell's traceback.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient

HERE = Path(__file__).parent
SECONDS = 3_600
"""That a cell may take, on a busy machine."""


def run(path: Path, *, write: bool) -> None:
    """Execute a notebook in a kernel of this Python and in an empty folder, with the sources of this checkout."""
    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        NotebookClient(notebook, timeout=SECONDS, resources={"metadata": {"path": folder}}).execute()
    for cell in notebook.cells:
        # When it ran, and what it printed while it worked, is another thing every time.
        cell.metadata = {}
        if cell.cell_type == "code":
            cell.outputs = [each for each in cell.outputs if each.get("name") != "stderr"]
    notebook.metadata = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
    if write:
        nbformat.write(notebook, path)


def main() -> None:
    """Run those that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="such as a_wake_word; all without")
    parser.add_argument("--check", action="store_true", help="run, and write nothing")
    options = parser.parse_args()
    # A kernel is a process of its own, which imports jaxmeta from here and draws without a screen.
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(HERE.parent), os.environ.get("PYTHONPATH")]))
    os.environ.pop("MPLBACKEND", None)
    for path in sorted(HERE.glob("*.ipynb")):
        if not options.names or path.stem in options.names:
            began = time.monotonic()
            run(path, write=not options.check)
            print(f"{path.name}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
