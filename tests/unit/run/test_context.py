import pytest

from pytest_qeval.config.prompt_format import with_style
from pytest_qeval.run.context import RunContext
from pytest_qeval.schema import PromptStyle
from pytest_qeval.settings import ModelSettings, Settings

_SETTINGS = Settings(model=ModelSettings(name="tiny"), recipes=("int8",), baseline=None, suites=(), limit=1)


@pytest.mark.parametrize(
    ("style", "ending"), [("completion", "goal of this function is to:\n"), ("chat", "is to:\n"), ("source", ")")]
)
def test_solutions_are_shown_after_what_an_encoder_is_asked(style: PromptStyle, ending: str) -> None:
    """Whoever completes sees them after the plain prompt, also where it chats."""
    pytest.importorskip("sacrebleu")
    runtime = RunContext(with_style(_SETTINGS, style), worker="main", n_workers=1, on_progress=lambda *_: None)

    ((task_id, shown, _),) = runtime.solved("summarization")

    assert task_id == "summarization/0"
    assert shown.endswith(ending)
