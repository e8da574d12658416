"""Without a model the plugin is as good as not there."""

import subprocess
import sys
from collections.abc import Callable

import pytest

Run = Callable[..., pytest.RunResult]


def test_next_to_nothing_is_imported(run_afresh: Run, pytester: pytest.Pytester) -> None:
    """Neither a heavy package nor more of this one than hooks, fixtures and options, in any session on the machine."""
    pytester.makepyfile(
        """
        import sys

        def test_modules():
            heavy = {"torch", "transformers", "scipy", "numpy", "codecarbon", "psutil", "datasets", "msgspec"}
            assert not heavy & sys.modules.keys()

            own = [name.partition(".")[2] for name in sys.modules if name.partition(".")[0] == "pytest_qeval"]
            light = ["", "errors", "fixtures", "hooks", "hooks.activate", "hooks.rootdir", "hookspec", "options"]
            assert sorted(own) == [*light, "plugin"]
        """
    )
    run_afresh().assert_outcomes(passed=1)


def test_the_output_is_the_same(run_afresh: Run, pytester: pytest.Pytester) -> None:
    """Not a line, not a word more than with the plugin switched off, times aside."""
    pytester.makepyfile("def test_nothing(): pass")

    def lines(*arguments: str) -> list[str]:
        kept = [line for line in run_afresh("-q", *arguments).outlines if "passed in" not in line]
        return [line for line in kept if not line.startswith("plugins:")]

    assert lines() == lines("-p", "no:qeval")


def test_importing_the_package_imports_neither_pytest_nor_torch() -> None:
    """The pure parts can be used without both: everything but the pytest side, the engines and the kernels."""
    script = """
import importlib, pkgutil, sys
import pytest_qeval
pytest_side = {"plugin", "hooks", "fixtures", "options", "suites"}
with_torch = {"engines.hf", "measure.divergence", "quantize.apply", "quantize.layers", "quantize.experts",
              "quantize.memory_mapped", "quantize.kernels", "quantize.backends", "quantize.checkpoints",
              "quantize.early", "engines.fit.meta_device", "engines.vllm.loading"}
for found in pkgutil.walk_packages(pytest_qeval.__path__, "pytest_qeval."):
    name = found.name.removeprefix("pytest_qeval.")
    if not any(f"{name}.".startswith(f"{other}.") for other in pytest_side | with_torch):
        importlib.import_module(found.name)
assert not {"pytest", "torch", "transformers"} & sys.modules.keys()
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
