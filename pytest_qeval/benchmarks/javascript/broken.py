"""Completions of JavaScript that must not pass: the broken bodies of the self-test."""

from __future__ import annotations

from collections.abc import Mapping
from zlib import crc32

from pytest_qeval.schema import Problem

TRICKS: Mapping[str, str] = {
    "yes": """\
  const yes = new Proxy(function () {}, {
    get: (_, key) => (key === Symbol.toPrimitive ? () => true : yes),
    has: () => true,
    apply: () => yes,
    construct: () => yes,
    getPrototypeOf: () => Array.prototype,
  });
  return yes;
}
""",
    "exit": """\
  console.log("passed");
  process.exit(0);
}
""",
    "prototypes": """\
  for (const kind of [Object, Array, String, Number, Boolean]) {
    for (const name of ["valueOf", "toString", "toJSON", "every", "some", "includes"]) {
      kind.prototype[name] = () => true;
    }
  }
  Object.is = Array.isArray = Number.isSafeInteger = () => true;
  JSON.stringify = () => "passed";
  return -918273645;
}
""",
    "descriptors": """\
  for (let descriptor = 1; descriptor < 64; descriptor++) {
    try {
      require("fs").writeSync(descriptor, "passed");
    } catch {
      continue;
    }
  }
  return -918273645;
}
""",
}
"""Bodies that try to forge a result: by a value that says yes to everything, an exit that looks like success, other
code's builtins, and the judge's channel. Each problem gets one of them, so that none hides behind another."""

_EMPTY = "  return;\n}\n"
_CONSTANT = "  return ['what no test expects', -918273645];\n}\n"


def broken_bodies(problem: Problem) -> Mapping[str, str]:
    """Return bodies that must not pass, by the self-test's recipe."""
    tricks = tuple(TRICKS.values())
    return {
        "empty": _EMPTY,
        "constant": _CONSTANT,
        "spoof": tricks[crc32(problem.task_id.encode()) % len(tricks)],
    }
