"""What tests of JavaScript share: rows of the published form, and a mark for what Node.js has to be there for."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from pytest_qeval.schema import Json

DATA = Path(os.environ.get("QEVAL_TEST_DATA", Path(__file__).parents[1].parent / "shared" / "data")) / "bench"
NAME = "HumanEval_javascript_v1.1.jsonl"

needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="Node.js is not installed")
needs_data = pytest.mark.skipif(
    not (DATA / NAME).is_file(),
    reason=f"mxeval's data is not part of this project: let QEVAL_TEST_DATA name a folder with bench/{NAME}",
)

HEAD = """
const _ = require("lodash")

function compare(object1, object2){
    return _.isEqual(object1, object2)
}

"""
CALL = """\
{arguments}var x{at} = {name}({names});
var v{at} = {expected};
if(!compare(x{at}, v{at})){{
    throw 'Error at {at}th assert statement. Value = ' + JSON.stringify(x){two}
}}

"""


def published_test(name: str, *calls: tuple[Sequence[str], str]) -> str:
    """Return a test of the published form: literals of arguments, and the literal of the result."""
    blocks = []
    for at, (literals, expected) in enumerate(calls):
        names = [f"arg{at}{place}" for place in range(len(literals))]
        arguments = "".join(f"var {one} = {literal};\n" for one, literal in zip(names, literals, strict=True))
        blocks.append(
            CALL.format(two="  ", arguments=arguments, at=at, name=name, names=", ".join(names), expected=expected)
        )
    return HEAD + "".join(blocks)


def published_row(number: int, header: str, *calls: tuple[Sequence[str], str]) -> Json:
    """Return a row of the published form; `header` is such as `double(n)`."""
    name = header.partition("(")[0]
    return {
        "task_id": f"HumanEval_javascript/{number}",
        "prompt": f"/**\n * Do it.\n *\n */\nfunction {header} {{\n",
        "entry_point": name,
        "test": published_test(name, *calls),
        "description": "Do it.",
        "language": "javascript",
        "canonical_solution": None,
    }


def write_rows(folder: Path, *rows: Json) -> Path:
    """Write rows into a file of the published name, and return its folder."""
    (folder / NAME).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return folder
