"""The unified diff of two prompts."""

from pytest_qeval.perturb.prompt_diff import prompt_diff


def test_changed_lines_stand_beside_each_other() -> None:
    """With one line of context, under the words `nominal` and the label."""
    before, after = "a\nb\nc\nd\n", "a\nb\nC\nd\n"

    assert prompt_diff(before, after, "X/0-p-s0").split("\n") == [
        "--- nominal", "+++ X/0-p-s0", "@@ -2,3 +2,3 @@", " b", "-c", "+C", " d",
    ]  # fmt: skip


def test_equal_texts_have_no_diff() -> None:
    assert prompt_diff("a\n", "a\n", "X/0") == ""
