"""All likely outcomes of a paired run, with their chances."""

import numpy as np
from numpy.typing import NDArray
from scipy.stats import multinomial

Floats = NDArray[np.float64]


def outcomes(n: int, *, discordance: float, drop: float) -> tuple[Floats, Floats, Floats]:
    """Return the numbers of fixed and regressed problems of all likely outcomes, and the chances of these."""
    chances = [(discordance - drop) / 2, (discordance + drop) / 2, 1 - discordance]
    fixed, regressed = np.indices((n // 3, n // 3)).reshape(2, -1)
    each = np.asarray(multinomial.pmf(np.stack([fixed, regressed, n - fixed - regressed], axis=1), n, chances))
    likely = each > 1e-9
    return fixed[likely].astype(float), regressed[likely].astype(float), each[likely]
