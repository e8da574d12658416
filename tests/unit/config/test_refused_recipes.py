"""Mistakes about recipes are refused before a model is loaded."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from fnmatch import fnmatch
from importlib.util import find_spec
from pathlib import Path

import pytest

from pytest_qeval.demo import __file__ as demo_package
from tests.unit.odd_checkpoints import copy_demo

Configure = Callable[..., pytest.Config]

MICRO = ("--qeval-model", "demo", "--qeval-suite", "micro", "--qeval-limit", "2")
ORIGINAL = Path(demo_package).parent / "model"
FILES = {
    "typo.toml": 'schema = "w8a8"\n',
    "invalid.toml": 'scheme = "w8a8\n',
    "named.toml": 'scheme = "w8a8"\nname = "x+kv8"\n',
    "int8.toml": 'scheme = "w4a16"\n',
    "texts.jsonl": '{"text": "def add(a, b):\\n    return a + b\\n"}\n',
}
MISTAKES: dict[str, tuple[Sequence[str], str]] = {
    "unknown part": (["w8a8-fast"], "*recipe 'w8a8-fast': 'fast' is no part of a recipe*A recipe has*"),
    "misspelt part": (["w8a8-statik"], "*'statik' is no part of a recipe. Did you mean 'static'?*"),
    "one bit": (["w1a16"], "*recipe 'w1a16': weights of 1 bits: 2 to 8 are possible.*"),
    "nine bits": (["w9a16"], "*recipe 'w9a16': weights of 9 bits: 2 to 8 are possible.*"),
    "nine bits in braces": (["w{8,9}a16"], "*recipe 'w9a16': weights of 9 bits: 2 to 8 are possible.*"),
    "unbalanced brace": (["w{8,4a16"], "*'w{8,4a16' has a brace without its partner*write 'w{8,4}a16'.*"),
    "capitals": (["W8A8"], "*recipes are written in lower case: 'w8a8'.*"),
    "misspelt key": (["typo.toml"], "*'typo.toml': the key 'schema' is unknown. Did you mean 'scheme'?*"),
    "no TOML": (["invalid.toml"], "*recipe file 'invalid.toml' is no valid TOML*"),
    "no such file": (["none.toml"], "*recipe file 'none.toml' cannot be opened: No such file or directory.*"),
    "no such texts": (
        ["w8a8-static-n2", "--qeval-calibration", "none.jsonl"],
        "*cannot read calibration texts from none.jsonl*",
    ),
    "too few texts": (
        ["w8a8-static-n2", "--qeval-calibration", "texts.jsonl"],
        "*texts.jsonl has 1 calibration text, and 2 were asked for: ask for fewer.*",
    ),
    "texts of no kind": (
        ["w8a8-static-n2", "--qeval-calibration", "stdlibb"],
        "*no calibration texts are called 'stdlibb': expected `stdlib`*",
    ),
    "exporting another package's": (
        ["torch:quantize_dynamic", "--qeval-export", "out"],
        "*torch:quantize_dynamic is torch's to write. Leave one of the two out.*",
    ),
    "exporting nothing": (["bf16", "--qeval-export", "out"], "*--qeval-export has nothing to write*"),
    "one name twice": (
        ["int8", "--qeval-recipe", "int8.toml"],
        "*two recipes are called 'int8': int8 and int8.toml. Rename one of them.*",
    ),
    "a name with a meaning": (["original"], "*no recipe can be given the name 'original'*"),
    "a cache of other bits": (["int8+kv6"], "*'int8+kv6': expected +kv8 or +kv4 behind a recipe's name, and once.*"),
    "a cache inside of a scheme": (["w8a8+kv8+lm_head"], "*'+kv8' or '+kv4' belongs behind the whole recipe's name*"),
    "a cache that is none": (["named.toml"], "*calls a recipe 'x+kv8', but its key/value cache is not quantized*"),
    "a name with a meaning and a cache": (["original+kv8"], "*no recipe can be given the name 'original+kv8'*"),
    "exporting a cache": (
        ["int8+kv8", "--qeval-export", "out"],
        "*the key/value cache of int8+kv8 is none of them: export int8, and evaluate the export as as-is+kv8.*",
    ),
    "as-is of floating point": (["as-is"], "*demo is stored in floating point*choose auto.*"),
    "no such baseline": (["int8", "--qeval-baseline", "int9"], "*no recipe 'int9'. Did you mean 'int8'*"),
    "no such original": (["int8", "--qeval-baseline", "./nowhere/model"], "*no model at nowhere/model*"),
}
TORCHAO: dict[str, tuple[Sequence[str], str]] = {
    "no such configuration": (
        ["torchao:NoSuchConfig"],
        "*torchao has no configuration 'NoSuchConfig' that a recipe can name*Available:*",
    ),
    "export": (
        ["torchao:Int8WeightOnlyConfig", "--qeval-export", "out"],
        "*torchao:Int8WeightOnlyConfig is torchao's to write. Leave one of the two out.*",
    ),
}


@pytest.fixture(autouse=True)
def files(pytester: pytest.Pytester) -> None:
    """Write recipe files and calibration texts."""
    for name, content in FILES.items():
        (pytester.path / name).write_text(content, encoding="utf-8")


def check_refused(configure: Configure, arguments: Sequence[str], line: str) -> None:
    with pytest.raises(pytest.UsageError) as refused:
        configure(*MICRO, "--qeval-recipe", *arguments)
    assert fnmatch(str(refused.value), line)
    assert not Path("out").exists()
    assert not Path(".qeval").exists()


@pytest.mark.parametrize(("arguments", "line"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_about_recipes_is_refused(configure: Configure, arguments: Sequence[str], line: str) -> None:
    """With the remedy."""
    check_refused(configure, arguments, line)


# looked for, not imported: pytester would forget torch's modules after the test
@pytest.mark.skipif(find_spec("torchao") is None, reason="the torchao extra is not installed")
@pytest.mark.parametrize(("arguments", "line"), TORCHAO.values(), ids=TORCHAO)
def test_a_mistake_about_torchao_is_refused(configure: Configure, arguments: Sequence[str], line: str) -> None:
    """With the remedy."""
    check_refused(configure, arguments, line)


def test_a_single_text_is_warned_of_where_warnings_are_errors(configure: Configure) -> None:
    """By a usage error, which is no fault of the program: static scales of one text are a guess."""
    warned = ("-W", "error::pytest.PytestWarning")
    arguments = ("--qeval-recipe", "w8a8-static-n1", "--qeval-calibration", "texts.jsonl")

    with pytest.raises(pytest.UsageError, match="a warning that was made an error"):
        configure(*warned, *MICRO, *arguments)


def test_a_quantized_checkpoint_is_not_quantized_again(configure: Configure, pytester: pytest.Pytester) -> None:
    """It is evaluated as it is, and compared with the model that it was made from if that is named."""
    config = json.loads((ORIGINAL / "config.json").read_text(encoding="utf-8"))
    directory = pytester.mkdir("quantized")
    stored = {"quantization_config": {"quant_method": "bitsandbytes"}}
    (directory / "config.json").write_text(json.dumps({**config, **stored}))
    (directory / "model.safetensors").write_bytes(b"\2" + b"\0" * 7 + b"{}")
    (directory / "tokenizer_config.json").touch()

    with pytest.raises(pytest.UsageError, match=r"already quantized \(bitsandbytes\) and cannot be given the rec"):
        configure("--qeval-model=quantized", "--qeval-recipe", "int8", "--qeval-baseline", "none")
    configure("--qeval-model=quantized", "--qeval-baseline", "demo")


def test_code_that_comes_with_a_model_needs_the_option(configure: Configure, pytester: pytest.Pytester) -> None:
    """The whole way from the command line to the model."""
    copy_demo(pytester.path / "own", model_type="own", auto_map={"AutoConfig": "configuration_own.OwnConfig"})
    with pytest.raises(pytest.UsageError, match=r"whose code comes with it .* allow it by --qeval-trust-remote-code"):
        configure("--qeval-model=own")
    configure("--qeval-model=own", "--qeval-trust-remote-code")
