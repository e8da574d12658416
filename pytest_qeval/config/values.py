"""Look an option up on the command line, and in the ini file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pytest_qeval.config.named_tests import named_tests
from pytest_qeval.config.origins import overridden_keys, typed_options
from pytest_qeval.errors import UsageError

if TYPE_CHECKING:
    import pytest

_T = TypeVar("_T")
_MOST = 10**9
"""Upper limit of counts. In megabytes a petabyte: the limits of a process overflow at 16 exabytes."""


class Values:
    """The options of a session; the command line wins over the ini file."""

    def __init__(self, config: pytest.Config, ignored: Mapping[str, str] | None = None) -> None:
        """Read nothing yet; `ignored` are options that count as not given, and why."""
        self._config = config
        self.ignored: Mapping[str, str] = ignored or {}

    def without(self, ignored: Mapping[str, str]) -> Values:
        """Return the options of the session without some of them."""
        return Values(self._config, {**self.ignored, **ignored})

    def inherited(self, name: str) -> bool:
        """Return whether an option is given, but was not typed for this session."""
        return self.flag(name) and f"--qeval-{name}" not in self.typed_options

    @property
    def start(self) -> Path:
        """The folder in which pytest was started."""
        return self._config.invocation_params.dir

    @property
    def typed_options(self) -> Sequence[str]:
        """Options of this plugin that the user typed, such as `--qeval-gate`; `addopts` and ini keys do not count."""
        return typed_options(self._config)

    @property
    def names_files(self) -> bool:
        """Whether the command line names test files, so that suites have no say; a suite's test is no file."""
        return self._config.args_source.name == "ARGS" and not named_tests(self._config)

    @property
    def named_suites(self) -> Sequence[str]:
        """Suites of the tests whose ids the command line names."""
        return [name.partition("::")[0] for name in named_tests(self._config)]

    @property
    def is_distributed(self) -> bool:
        """Whether several processes share the session."""
        option = self._config.getoption
        starts_workers = option("tx", None) and option("dist") != "no" and not option("collectonly")
        return bool(starts_workers) or hasattr(self._config, "workerinput")

    @property
    def in_worker(self) -> bool:
        """Whether this is a worker of pytest-xdist, whose controller has checked the options already."""
        return hasattr(self._config, "workerinput")

    @property
    def n_workers(self) -> int:
        """Number of processes that share the machine with this worker; 1 outside of workers."""
        return int(getattr(self._config, "workerinput", {}).get("workercount", 1))

    @property
    def n_planned(self) -> int:
        """Number of processes that share the cases, as a worker and its controller know it."""
        if not self.is_distributed or hasattr(self._config, "workerinput"):
            return self.n_workers
        return len(self._workers)

    @property
    def uses_other_machines(self) -> bool:
        """Whether some workers are started elsewhere, such as by `--tx ssh=…`."""
        return self.is_distributed and not self.in_worker and not all(map(_is_local, self._workers))

    @property
    def _workers(self) -> Sequence[str]:
        """How each worker is started, one line each: `2*popen` are two."""
        from xdist.workermanage import parse_tx_spec_config  # noqa: PLC0415 - installed, since `tx` is its option

        found: Sequence[str] = parse_tx_spec_config(self._config)
        return found

    def _raw(self, name: str) -> Any:
        if name in self.ignored:
            return None
        dest = f"qeval_{name.replace('-', '_')}"
        value = self._config.getoption(dest)
        return self._config.getini(dest) if value is None else value

    def text(self, name: str) -> str | None:
        """Return an option's text; None where it is not given, or empty.

        Raises:
            UsageError: for something else, which TOML can hold.
        """
        value = self._raw(name) or None
        if value is not None and not isinstance(value, str):
            raise UsageError(f"--qeval-{name} expects a text in quotes, not {value!r}.")
        return value

    def is_empty(self, name: str) -> bool:
        """Return whether an option is given on the command line as an empty text."""
        return bool(self._config.getoption(f"qeval_{name.replace('-', '_')}") == "")

    def texts(self, name: str) -> Sequence[str]:
        """Return what a repeatable option was given.

        Raises:
            UsageError: for an empty text, and for something else, which TOML can hold.
        """
        values = list(self._raw(name) or ())
        if any(isinstance(value, str) and not value.strip() for value in values):
            raise UsageError(
                f"--qeval-{name} has an empty value, perhaps from a variable that is not set: leave it out."
            )
        other = next((value for value in values if not isinstance(value, str)), None)
        if other is not None:
            raise UsageError(f"--qeval-{name} expects texts in quotes, not {other!r}.")
        return values

    def path(self, text: str, name: str = "recipe") -> str:
        """Resolve a path: against the ini file's folder if it was written there, else against the current one."""
        path = Path(text).expanduser()
        if path.is_absolute() or self.typed(name) or self._config.inipath is None:
            return str(path)
        return str(self._config.inipath.parent / path)

    def file(self, name: str) -> str | None:
        """Return an option's path as `path` resolves it; None where there is none."""
        text = self.text(name)
        return self.path(text, name) if text else None

    def output(self, name: str) -> Path | None:
        """Return where an option's path is written to, relative to where pytest was started."""
        text = self.file(name)
        return self.start / text if text else None

    def typed(self, name: str) -> bool:
        """Return whether an option stands on the command line, by its own name or as `-o KEY=VALUE`."""
        dest = f"qeval_{name.replace('-', '_')}"
        return self._config.getoption(dest) is not None or dest in overridden_keys(self._config.option)

    def flag(self, name: str) -> bool:
        """Return whether an option is given."""
        return bool(self._raw(name))

    def number(self, name: str, kind: Callable[[str], _T], check: Callable[[_T], bool], expected: str) -> _T | None:
        """Read a number; None where it is not given.

        Raises:
            UsageError: for one that cannot be read, or that `check` does not accept; `expected` says what would be.
        """
        text = self.text(name)
        if text is None:
            return None
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not check(value):
            raise UsageError(f"--qeval-{name} expects {expected}, not {text!r}.")
        return value

    def positive(self, name: str) -> int | None:
        """Read a count, or megabytes."""
        return self.number(name, int, lambda value: 0 < value <= _MOST, f"a whole number from 1 to {_MOST}")


def _is_local(worker: str) -> bool:
    """Return whether pytest-xdist starts a worker as a process of this machine, as by `popen//python=…`."""
    parts = worker.split("//")
    return "popen" in parts and not any(part.startswith("via=") for part in parts)
