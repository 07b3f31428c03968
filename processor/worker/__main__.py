"""`python -P processor/worker/__main__.py ROOT`: the worker of a daemon that has its jobs in the folder ROOT.

Started by its path and with -P it imports nothing from the current directory, and `processor` from where it is itself:
the daemon's own program, installed or not.
"""

from __future__ import annotations

import os
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path


def main(arguments: list[str]) -> int:
    """With a folder: the parent of the jobs there; with `--spawn` it starts a program for each, as on macOS. With a
    folder, a job, a run and two pipes: such a program."""
    if "processor" not in sys.modules:
        _import_own_package()
    from processor.worker import child, parent

    match arguments:
        case [root]:
            return parent.serve(Path(root), spawn=sys.platform == "darwin")
        case [root, "--spawn"]:
            return parent.serve(Path(root), spawn=True)
        case [root, name, run, out, lifeline]:
            os._exit(child.work(Path(root), int(run), name, int(out), int(lifeline)))
    sys.stderr.write(f"{__doc__}\n")
    return 2


def _import_own_package() -> None:
    spec = spec_from_file_location("processor", Path(__file__).resolve().parents[1] / "__init__.py")
    assert spec is not None and spec.loader is not None
    package = sys.modules["processor"] = module_from_spec(spec)
    spec.loader.exec_module(package)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
