"""Copies of the project in which faults are tried, and the two suites of tests: forge's, and brownie's."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tools.mutation.survivors import Outcome, Verdict

ROOT = Path(__file__).resolve().parents[2]
_COPIED = ("contracts", "tests")
_LINKED = (
    *(".home", ".venv", "node_modules", "processor", "scripts", "tools"),
    *("brownie-config.yaml", "foundry.toml", "pyproject.toml"),
)
_DECIDES_OUTCOMES = ("contracts", "tests/foundry", "tests/contracts", "foundry.toml", "package-lock.json")

_IGNORED = shutil.ignore_patterns("__pycache__", "symbolic", "gas", "Gas*.t.sol", "test_gas.py")  # gas is no behaviour
_INVARIANTS = "tests/foundry/invariants"

# The same behaviour, compiled in a third of the time; tests are compiled once, not again for every fault.
_FORGE_ENVIRONMENT = {
    "FOUNDRY_VIA_IR": "false",
    "FOUNDRY_OPTIMIZER": "false",
    "FOUNDRY_DYNAMIC_TEST_LINKING": "true",
    "FOUNDRY_FUZZ_RUNS": "64",
    "FOUNDRY_INVARIANT_RUNS": "8",
    "FOUNDRY_INVARIANT_DEPTH": "50",
    "FOUNDRY_INVARIANT_SHRINK_RUN_LIMIT": "0",
}
_FORGE = ("forge", "test", "--json", "--fail-fast")  # foundry.toml has the seed
_BROWNIE = ("tools/brownie", "test", "tests/contracts", "-x", "-q", "--hypothesis-seed=1")
_FORGE_LIMIT, _BROWNIE_LIMIT = 300, 1800  # seconds

_running: set[subprocess.Popen[str]] = set()


class BrokenRun(Exception):
    """A suite ended in a way that says nothing of the contracts; carries what it printed."""


@dataclass(frozen=True)
class Trees:
    """Makes copies of the project in a temporary folder, one for each try, each with forge's cache of the original."""

    folder: Path

    @classmethod
    @contextmanager
    def temporary(cls) -> Iterator[Trees]:
        with tempfile.TemporaryDirectory(prefix="koinon-mutation-") as folder:
            trees = cls(Path(folder))
            original = trees._original
            original.mkdir()
            for name in _COPIED:
                shutil.copytree(ROOT / name, original / name, ignore=_IGNORED)
            for name in _LINKED:
                (original / name).symlink_to(ROOT / name)
            for name in ("interfaces", "reports", "build"):  # what brownie expects of a project
                (original / name).mkdir()
            yield trees

    @property
    def _original(self) -> Path:
        return self.folder / "original"

    def warm(self) -> Outcome:
        """Runs forge's tests of the original, which fills the cache that the copies start from."""
        return run_forge(self._original)

    @contextmanager
    def copy(self, sources: Mapping[str, str]) -> Iterator[Path]:
        """The project with these sources in contracts/; removed afterwards."""
        tree = Path(tempfile.mkdtemp(dir=self.folder))
        try:
            shutil.copytree(self._original, tree, symlinks=True, dirs_exist_ok=True)
            for path, source in sources.items():
                if (tree / "contracts" / path).read_text() != source:
                    (tree / "contracts" / path).write_text(source)
            yield tree
        finally:
            shutil.rmtree(tree)


def read_contracts() -> tuple[dict[str, str], list[str]]:
    """The sources that faults are made in, by their path in contracts/, and all sources."""
    folder = ROOT / "contracts"
    faulty = sorted([*folder.glob("*.sol"), *folder.glob("libraries/*.sol")])
    return {path.relative_to(folder).as_posix(): path.read_text() for path in faulty}, [
        path.read_text() for path in sorted(folder.rglob("*.sol"))
    ]


def fingerprint() -> str:
    """Of everything that decides what becomes of a fault."""
    digest = hashlib.sha256()
    for name in _DECIDES_OUTCOMES:
        top = ROOT / name
        for path in [top] if top.is_file() else sorted(top.rglob("*")):
            if path.suffix in (".sol", ".py", ".toml", ".json"):
                digest.update(f"{path.relative_to(ROOT)} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    digest.update(repr((_FORGE, sorted(_FORGE_ENVIRONMENT.items()), _BROWNIE)).encode())
    return digest.hexdigest()


def run_forge(tree: Path) -> Outcome:
    """Invalid, killed by a test, or escaped. Invariants, which take longest, run where all other tests pass.

    They are moved out of the way: with an option that filters tests forge compiles twice. Raises BrokenRun."""
    aside = tree / "aside"
    (tree / _INVARIANTS).rename(aside)
    outcome = _forge(tree)
    aside.rename(tree / _INVARIANTS)
    return _forge(tree) if outcome.verdict is Verdict.ESCAPED else outcome


def _forge(tree: Path) -> Outcome:
    status, output, errors = _run(_FORGE, tree, _FORGE_ENVIRONMENT, _FORGE_LIMIT)
    if status is None:
        return Outcome(Verdict.KILLED, "timeout")
    if "Compiler run failed" in errors:
        return Outcome(Verdict.INVALID)
    return Outcome(Verdict.ESCAPED) if status == 0 else Outcome(Verdict.KILLED, failed_forge_test(output, errors))


def failed_forge_test(output: str, errors: str) -> str:
    """The first test that forge's report in JSON says failed. Raises BrokenRun where it names none."""
    try:
        suites = json.loads(output)
    except ValueError:
        raise BrokenRun(f"{output}{errors}") from None
    for suite, report in suites.items():
        for test, result in report["test_results"].items():
            if result["status"] == "Failure":
                return f"{suite.rpartition(':')[2]}.{test.partition('(')[0]}"
    raise BrokenRun(f"{output}{errors}")


def run_brownie(tree: Path) -> Outcome:
    """Killed by a test, or survived. Raises BrokenRun."""
    status, output, errors = _run(_BROWNIE, tree, {}, _BROWNIE_LIMIT)
    if status is None:
        return Outcome(Verdict.KILLED, "timeout")
    if status == 0:
        return Outcome(Verdict.SURVIVED)
    failed = re.search(r"^(?:FAILED|ERROR) tests/contracts/(\S+)", output, re.MULTILINE)
    if failed is None:
        raise BrokenRun(f"{output}{errors}")
    return Outcome(Verdict.KILLED, failed.group(1))


def stop() -> None:
    """Ends the suites that run."""
    for process in list(_running):
        os.killpg(process.pid, signal.SIGTERM)


def _run(command: Sequence[str], tree: Path, environment: Mapping[str, str], limit: int) -> tuple[int | None, str, str]:
    """The exit status, None after `limit` seconds, with what was printed. An interruption from the keyboard does not
    reach the process: its failure would be taken for a test's."""
    path = f"{ROOT / 'node_modules' / '.bin'}:{os.environ['PATH']}"
    settings = {**{k: v for k, v in os.environ.items() if not k.startswith("FOUNDRY_")}, **environment, "PATH": path}
    pipe = subprocess.PIPE
    try:
        process = subprocess.Popen(
            command,
            cwd=tree,
            env=settings,
            stdin=subprocess.DEVNULL,
            stdout=pipe,
            stderr=pipe,
            text=True,
            start_new_session=True,
        )
    except FileNotFoundError:
        raise BrokenRun(f"there is no {command[0]}: run `make setup`") from None
    _running.add(process)
    try:
        output, errors = process.communicate(timeout=limit)
        return process.returncode, output, errors
    except subprocess.TimeoutExpired:
        return None, "", ""
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            process.communicate()
        _running.discard(process)
