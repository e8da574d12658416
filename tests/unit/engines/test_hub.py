"""Models on the hub: one commit for everything, the same online and offline, and every refusal in one sentence."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub import constants

from pytest_qeval.demo import MODEL_DIR
from pytest_qeval.engines.hub import hub_headers
from pytest_qeval.engines.sources import ModelSource, resolve
from pytest_qeval.engines.templates import has_chat_template
from pytest_qeval.engines.transformers import TRANSFORMERS
from pytest_qeval.errors import ModelSourceError
from pytest_qeval.quantize.checkpoints.weight_files import TensorHeader
from pytest_qeval.settings import ModelSettings
from tests.fake_hub import FakeHub, read_files

A, B = "a" * 40, "b" * 40


class Hub(FakeHub):
    """A hub that can go away."""

    connection: ExitStack

    def go_away(self) -> None:
        self.connection.close()


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    """Serve the embedded model as `org/name`, its `main` at commit A; the cache is empty."""
    hub = Hub(refs={"main": A}, commits={A: read_files(MODEL_DIR)})
    hub.connection = ExitStack()
    with hub.connection:
        hub.connection.enter_context(hub.served())
        monkeypatch.setattr(constants, "ENDPOINT", hub.url)
        template = f"{hub.url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        yield hub


def find(name: str = "org/name", revision: str | None = None) -> ModelSource:
    return resolve(ModelSettings(name=name, revision=revision))


def fetch(hub: Hub, commit: str) -> None:
    """Fetch all files, as loading the model would."""
    for name in hub.commits[commit]:
        huggingface_hub.hf_hub_download("org/name", name, revision=commit)


def change(hub: Hub, **files: bytes) -> None:
    """Make commit B of other files, and move `main` there."""
    hub.commits[B] = {**hub.commits[A], **{name.replace("__", "."): content for name, content in files.items()}}
    hub.refs["main"] = B


def test_a_model_is_found_by_its_config_alone(hub: Hub) -> None:
    """Nothing else is fetched yet; its commit is known."""
    assert find() == ModelSource(kind="hub", name="org/name", commit=A, dtype="float32")
    assert find().location == "org/name"
    assert {request.rpartition("/")[2] for request in hub.requests if "/resolve/" in request} == {"config.json"}


def test_a_model_is_the_same_online_and_offline(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its identity is the commit, fetched or not; offline it is read from the cache."""
    online = find()
    fetch(hub, A)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    in_offline_mode = find()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    hub.refused["model"] = "503"
    with_a_broken_hub = find()
    hub.go_away()
    offline = find()

    assert offline == in_offline_mode == with_a_broken_hub
    assert offline.path is not None
    assert (offline.path.name, offline.commit) == (A, A)
    assert TRANSFORMERS.describe(offline) == TRANSFORMERS.describe(online)
    assert TRANSFORMERS.describe(online)["commit"] == A


def test_a_branch_that_moves_changes_the_commit(hub: Hub) -> None:
    """And what is looked up offline is what was fetched last."""
    before = find()
    change(hub)

    assert (before.commit, find().commit, find(revision=A).commit) == (A, B, A)
    fetch(hub, B)
    hub.go_away()
    assert find().commit == B


def test_the_config_is_that_of_the_pinned_commit(hub: Hub) -> None:
    """Whatever is pushed between two requests."""
    encoder = json.dumps({"architectures": ["BertForMaskedLM"]}).encode()
    hub.after_model = lambda: change(hub, config__json=encoder)

    assert find().commit == A


def test_everything_is_loaded_at_the_pinned_commit(hub: Hub) -> None:
    """Weights, tokenizer and generation config, although `main` has moved on."""
    from pytest_qeval.engines.hf.loading import load_language_model  # noqa: PLC0415 - imports torch

    source = find()
    hub.requests.clear()
    change(hub, model__safetensors=b"", tokenizer__json=b"", tokenizer_config__json=b"", generation_config__json=b"")
    load_language_model(source, "float32", device="cpu", threads=None)
    assert has_chat_template(source) is False

    fetched = [request.split("/")[-2:] for request in hub.requests if "/resolve/" in request]
    assert {commit for commit, _ in fetched} == {A}
    assert {"model.safetensors", "tokenizer.json", "generation_config.json"} <= {name for _, name in fetched}


@pytest.mark.parametrize(
    ("refused", "revision", "message"),
    [
        (
            {"model": "RepoNotFound"},
            None,
            "there is no model 'org/name' on the hub.* for a private model, log in first",
        ),
        ({"model": "GatedRepo"}, None, "'org/name' is gated: accept its licence on the hub, then log in"),
        ({"file": "GatedRepo"}, None, "'org/name' is gated: accept its licence on the hub, then log in"),
        ({}, "v9", "'org/name' on the hub has no revision 'v9': --qeval-revision takes a branch, a tag or a commit"),
    ],
    ids=["missing or private", "gated", "gated files", "revision"],
)
def test_the_hubs_refusals_are_explained(hub: Hub, refused: dict[str, str], revision: str | None, message: str) -> None:
    """A gated model may be described, and its files refused."""
    hub.refused = refused
    with pytest.raises(ModelSourceError, match=message):
        find(revision=revision)


def test_an_id_that_the_hub_does_not_allow_is_refused(hub: Hub) -> None:
    with pytest.raises(ModelSourceError, match="'org/na--me' is no hub id: Cannot have -- or"):
        find("org/na--me")


@pytest.mark.parametrize(
    ("revision", "which"), [(None, "'org/name'"), ("v1", "the revision 'v1' of 'org/name'")], ids=["main", "revision"]
)
def test_without_the_hub_and_the_cache_it_is_said_what_works(hub: Hub, revision: str | None, which: str) -> None:
    hub.go_away()
    with pytest.raises(ModelSourceError, match=f"cannot be reached, and {which} is not in its local cache.* `demo`"):
        find(revision=revision)


def test_a_copy_of_another_revision_does_not_count_offline(hub: Hub) -> None:
    find()
    hub.go_away()
    with pytest.raises(ModelSourceError, match="the revision 'v1' of 'org/name' is not in its local cache"):
        find(revision="v1")


def test_half_a_copy_is_refused_offline(hub: Hub) -> None:
    """Before anything is loaded: an earlier run may have looked the model up and no more."""
    find()
    hub.go_away()
    with pytest.raises(ModelSourceError, match=f"no usable copy of 'org/name' at commit {A}: .* no weights"):
        find()


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["b.gguf", "a.gguf"], r"has GGUF files only: fetch one \(`hf download org/name a.gguf`\), and name it"),
        (["adapter_config.json"], "is an adapter: merge it into its base model"),
        (["README.md"], r"has no config\.json: it is not a transformers model"),
        (["config.json", "pytorch_model.bin"], "org/name has weights in pickle form only"),
    ],
    ids=["GGUF", "adapter", "no model", "pickle"],
)
def test_what_cannot_be_loaded_is_refused_before_it_is_fetched(hub: Hub, files: list[str], message: str) -> None:
    hub.commits[A] = dict.fromkeys(files, b'{"architectures": ["LlamaForCausalLM"]}')
    with pytest.raises(ModelSourceError, match=message):
        find()


def test_an_exported_checkpoint_is_fetched_whole(hub: Hub) -> None:
    """It is read by this program's own reader, as a directory is; its identity stays the commit."""
    hub.commits[A] = {**hub.commits[A], "qeval.json": b"{}"}
    source = find()

    assert source.path is not None
    assert (source.path / "model.safetensors").is_file()
    assert (source.stored, source.commit) == ("qeval", A)
    assert TRANSFORMERS.describe(source)["weights_sha256"] is None


def test_a_hub_that_goes_away_is_no_model_without_a_template(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """Prompts would be formatted in another way than on a better day."""
    source = find()

    def fail(*_: Any, **__: Any) -> None:
        raise huggingface_hub.errors.LocalEntryNotFoundError("after five attempts, which take 23 s")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", fail)
    with pytest.raises(ModelSourceError, match=r"cannot be reached any more: chat_template\.jinja of org/name"):
        has_chat_template(source)


def test_the_shapes_of_a_model_are_unknown_without_the_hub(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """With it, they are those of all weight files."""
    tensors = {"a": SimpleNamespace(dtype="BF16", shape=[4, 5], data_offsets=(2, 42))}

    def metadata(_: object, name: str, *, revision: str) -> Any:
        assert (name, revision) == ("org/name", A)
        return SimpleNamespace(files_metadata={"model.safetensors": SimpleNamespace(tensors=tensors)})

    hub.go_away()
    assert hub_headers("org/name", A) is None
    monkeypatch.setattr(huggingface_hub.HfApi, "get_safetensors_metadata", metadata)
    assert hub_headers("org/name", A) == {"a": TensorHeader(dtype="BF16", shape=(4, 5), stored_bytes=40)}
