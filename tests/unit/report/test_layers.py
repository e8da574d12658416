"""The table of layers."""

from pytest_qeval.facts import RecipeFacts
from pytest_qeval.report.layers import layers_csv

LAYER = {
    "name": "model.layers.0.mlp.up_proj",
    "shape": [4864, 896],
    "bits": 4,
    "granularity": "per_group(128)",
    "kept": False,
    "bytes_before": 8716288,
    "bytes_after": 2315264,
    "execution": "native",
}
KEPT = {**LAYER, "name": "lm_head", "bits": 16, "granularity": "", "kept": True, "execution": "full precision"}


def test_every_layer_of_every_recipe_has_a_line() -> None:
    facts = RecipeFacts(name="int4", role="candidate", summary="", layers=(LAYER, KEPT))
    assert layers_csv([facts]).splitlines() == [
        "recipe,layer,out_features,in_features,bits,granularity,kept,execution,bytes_before,bytes_after",
        "int4,model.layers.0.mlp.up_proj,4864,896,4,per_group(128),,native,8716288,2315264",
        "int4,lm_head,4864,896,16,,kept,full precision,8716288,2315264",
    ]


def test_without_layers_there_is_no_table() -> None:
    assert layers_csv([RecipeFacts(name="auto", role="baseline", summary="")]) == ""
