"""Fill-in-the-middle tokens: the forms in which families of models were trained to see both sides of a completion.

A tokenizer tells the family by its tokens, but not whether the model was trained with them: general models often share
the tokenizer of the code models of their family.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from pytest_qeval.errors import UsageError
from pytest_qeval.schema import PREFIX_ONLY, InfillingForm

_PLACE = re.compile(r"\{(?:prefix|suffix)\}")

FORMS = (
    # Qwen2.5-Coder, Qwen3-Coder and CodeGemma
    InfillingForm(
        template="<|fim_prefix|>{prefix}<|fim_suffix|>{suffix}<|fim_middle|>",
        stops=("<|fim_pad|>", "<|repo_name|>", "<|file_sep|>", "<|file_separator|>", "<|endoftext|>"),
    ),
    # StarCoder, StarCoder2 and Granite
    InfillingForm(
        template="<fim_prefix>{prefix}<fim_suffix>{suffix}<fim_middle>",
        stops=("<fim_pad>", "<file_sep>", "<repo_name>", "<filename>", "<reponame>", "<|endoftext|>"),
    ),
    # SantaCoder
    InfillingForm(
        template="<fim-prefix>{prefix}<fim-suffix>{suffix}<fim-middle>", stops=("<fim-pad>", "<|endoftext|>")
    ),
    # DeepSeek-Coder, whose tokens are named for the hole and not for the two sides
    InfillingForm(
        template="<｜fim▁begin｜>{prefix}<｜fim▁hole｜>{suffix}<｜fim▁end｜>",  # noqa: RUF001 - its own characters
        stops=("<｜end▁of▁sentence｜>", "<|EOT|>"),  # noqa: RUF001 - as above
    ),
    # CodeLlama, whose prefix is a text of its own, which begins with a blank as all of its texts do
    InfillingForm(template="▁<PRE> {prefix}▁<SUF>{suffix}▁<MID>", stops=("▁<EOT>",)),
    # Codestral, which sees the suffix first and has no token where the completion begins
    InfillingForm(template="[SUFFIX]{suffix}[PREFIX]{prefix}"),
    # GLM-4
    InfillingForm(
        template="<|code_prefix|>{prefix}<|code_suffix|>{suffix}<|code_middle|>", stops=("<|endoftext|>", "<|user|>")
    ),
)
"""By family; what a model writes when it goes on to another text ends a completion."""


def find_form(tokens: Collection[str], template: str | None, *, name: str) -> InfillingForm:
    """Return the form of the user's template, else of the family that has its tokens, else the one without a suffix.

    Args:
        tokens: Those that the tokenizer recognizes anywhere in a text, such as `<|fim_prefix|>`.
        template: The user's, which has `{prefix}`.
        name: The model's, for messages.

    Raises:
        UsageError: when a part of the user's template holds none of the tokens.
    """
    if template is None:
        form = next((form for form in FORMS if {*_marks(form.template)} <= {*tokens}), PREFIX_ONLY)
        return InfillingForm(template=form.template, stops=(*form.stops, *_marks(form.template)))
    written = [token for token in tokens if token.strip()]  # some tokenizers have tokens of blanks
    foreign = next((mark for mark in _marks(template) if not any(token in mark for token in written)), None)
    if foreign is not None:
        raise UsageError(
            f"--qeval-fim: {foreign!r} holds no token of the tokenizer of {name}, which would read it as plain text. "
            "Expected its own fill-in-the-middle tokens; --qeval-fim '{prefix}' shows the prefix only."
        )
    known = next((form.stops for form in FORMS if _marks(form.template) == _marks(template)), ())
    return InfillingForm(template=template, stops=(*known, *_marks(template)))


def _marks(template: str) -> tuple[str, ...]:
    """Return what stands around the two sides, without blanks."""
    return tuple(part.strip() for part in _PLACE.split(template) if part.strip())
