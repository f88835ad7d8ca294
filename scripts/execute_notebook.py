#!/usr/bin/env python3
"""Runs a notebook from its beginning and writes it with its outputs: scripts/execute_notebook.py NOTEBOOK [-o OUT].

As `jupyter execute` does, but nothing is written that differs from run to run without need, such as times. If a cell
fails nothing is written, and the exit code is 1.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import nbformat
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

_MINUTES = 15


def execute(path: Path) -> nbformat.NotebookNode:
    """The notebook with new outputs; CellExecutionError, with the traceback, at the first cell that fails."""
    notebook = nbformat.read(path, as_version=4)
    folder = {"metadata": {"path": str(path.resolve().parent)}}  # as in Jupyter
    with tempfile.TemporaryDirectory() as sockets:  # not ports, which every user of the machine can reach
        kernel = AsyncKernelManager(transport="ipc", ip=f"{sockets}/kernel")
        client = NotebookClient(
            notebook,
            kernel,
            timeout=60 * _MINUTES,
            record_timing=False,
            coalesce_streams=True,  # what a cell prints is one output, however it came
            resources=folder,
        )
        client.execute(cleanup_kc=True)  # ends the kernel if a cell fails, too
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    return notebook


def main() -> int:
    parser = argparse.ArgumentParser(description="Runs a notebook and writes it with its outputs.")
    parser.add_argument("notebook", type=Path)
    parser.add_argument("-o", "--out", type=Path, metavar="OUT", help="(the notebook itself)")
    arguments = parser.parse_args()
    try:
        notebook = execute(arguments.notebook)
    except CellExecutionError as error:
        print(f"{arguments.notebook}: a cell failed\n{error}", file=sys.stderr)
        return 1
    nbformat.write(notebook, arguments.out or arguments.notebook)
    return 0


if __name__ == "__main__":
    sys.exit(main())
