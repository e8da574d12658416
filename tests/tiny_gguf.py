"""A GGUF file with settings and a single matrix: enough to be found and described, and no model."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np


def write_gguf(file: Path) -> Path:
    """Write 2 layers with 4 heads of 64 channels, one of which is for keys and values."""
    writer = gguf.GGUFWriter(str(file), "llama")
    writer.add_block_count(2)
    writer.add_context_length(128)
    writer.add_embedding_length(256)
    writer.add_head_count(4)
    writer.add_head_count_kv(1)
    writer.add_tensor("token_embd.weight", np.zeros((10, 256), dtype=np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file
