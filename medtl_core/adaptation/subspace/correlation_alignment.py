"""CORAL (Sun, Feng & Saenko 2016): the source whitened, then coloured with the target's covariance."""

import numpy as np
from numpy.typing import NDArray

from medtl_core.adaptation.subspace.common_space import CommonSpace
from medtl_core.adaptation.subspace.libraries import skada

Array = NDArray[np.float64]


def coral(source: Array, target: Array, *, shrinkage: float | str = "auto") -> CommonSpace:
    """Source (n, d) -> (X_S - mean) C_S^-1/2 C_T^1/2, target (m, d) -> X_T - mean, each by its own mean.

    Sun, Feng & Saenko 2016, algorithm 1, by skada; instead of the paper's C + I, the covariances are shrunk
    towards a multiple of I by `shrinkage`, 0 to 1, or as far as Ledoit and Wolf's lemma says ("auto").
    """
    cases, domain = np.concatenate([source, target]), np.repeat([1, -2], [len(source), len(target)])
    adapter = skada().CORALAdapter(reg=shrinkage)
    both = adapter.fit_transform(cases, sample_domain=domain)
    return CommonSpace(np.asarray(both[domain > 0]), lambda x: np.asarray(x - adapter.mean_target_))
