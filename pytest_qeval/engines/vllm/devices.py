"""Are there as many devices as vLLM is asked to split a model over?"""

from __future__ import annotations

from importlib.util import find_spec

from pytest_qeval.errors import UsageError
from pytest_qeval.measure.machine import may_have_gpu
from pytest_qeval.settings import VllmSettings


def check_devices(settings: VllmSettings) -> None:
    """Refuse more parts than this machine has GPUs; with Ray, and without a GPU, the number is not known here.

    Raises:
        UsageError: when devices, or Ray, are missing.
    """
    if settings.executor == "ray":
        if find_spec("ray") is None:
            raise UsageError("--qeval-distributed-executor ray needs Ray in this environment: run pip install ray.")
        return
    needed = settings.tensor_parallel * settings.pipeline_parallel
    if needed == 1 or not may_have_gpu():
        return
    import torch  # noqa: PLC0415 - imported lazily by contract

    found = torch.cuda.device_count()
    if 0 < found < needed:
        raise UsageError(
            f"--qeval-tensor-parallel {settings.tensor_parallel} × --qeval-pipeline-parallel "
            f"{settings.pipeline_parallel} needs {needed} GPUs, and this machine has {found}: lower one of them, or "
            "add --qeval-distributed-executor ray for several machines."
        )
