import hashlib
import json
from pathlib import Path

from pytest_qeval.engines.fingerprint import files_sha256, weights_sha256
from pytest_qeval.engines.sources import ModelSource


def directory(path: Path) -> ModelSource:
    return ModelSource(kind="directory", name="m", path=path)


def test_a_single_file_has_its_own_digest(tmp_path: Path) -> None:
    """It can be checked with sha256sum."""
    content = bytes(range(256)) * 5000
    (tmp_path / "model.safetensors").write_bytes(content)
    (tmp_path / "config.json").write_text("{}")
    expected = hashlib.sha256(content).hexdigest()

    assert weights_sha256(directory(tmp_path)) == expected
    file = tmp_path / "model.safetensors"
    assert weights_sha256(ModelSource(kind="gguf", name="m", path=file)) == expected


def test_shards_are_told_apart_by_content_and_name(tmp_path: Path) -> None:
    """Swapping two shards is another model."""
    index = {"weight_map": {"x": "a.safetensors", "y": "b.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    (tmp_path / "a.safetensors").write_bytes(b"1")
    (tmp_path / "b.safetensors").write_bytes(b"2")
    first = weights_sha256(directory(tmp_path))
    (tmp_path / "a.safetensors").write_bytes(b"2")
    (tmp_path / "b.safetensors").write_bytes(b"1")

    assert first is not None
    assert weights_sha256(directory(tmp_path)) not in {None, first}


def test_what_was_not_fetched_has_no_digest() -> None:
    """A hub model has no digest before its download."""
    assert weights_sha256(ModelSource(kind="hub", name="org/model")) is None
    assert files_sha256(ModelSource(kind="hub", name="org/model")) is None


def test_configuration_tokenizer_and_template_have_a_digest(tmp_path: Path) -> None:
    """Other files and a GGUF file have none."""
    (tmp_path / "model.safetensors").write_bytes(b"1")
    assert files_sha256(directory(tmp_path)) is None
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "tokenizer.json").write_text("[]")
    lines = "".join(
        f"{hashlib.sha256(text).hexdigest()}  {name}\n"
        for name, text in (("config.json", b"{}"), ("tokenizer.json", b"[]"))
    )
    assert files_sha256(directory(tmp_path)) == hashlib.sha256(lines.encode()).hexdigest()
    assert files_sha256(ModelSource(kind="gguf", name="m", path=tmp_path / "model.safetensors")) is None
