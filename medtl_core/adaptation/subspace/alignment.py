"""Subspace alignment (Fernando et al. 2013): the source's principal axes turned onto the target's."""

import numpy as np
from numpy.typing import NDArray

from medtl_core.adaptation.subspace.common_space import CommonSpace, check_components
from medtl_core.adaptation.subspace.libraries import skada

Array = NDArray[np.float64]


def align_subspaces(source: Array, target: Array, *, components: int) -> CommonSpace:
    """Source (n, d) -> X_S P_S P_S' P_T, target (m, d) -> X_T P_T; P: the first principal axes (d, q).

    Fernando et al. 2013, algorithm 1, by skada. Each domain is centred by its own mean. Target cases go by
    the target's map only: the two maps are not the same. Raises MedtlError as `check_components`.
    """
    check_components(components, source, target)
    cases, domain = np.concatenate([source, target]), np.repeat([1, -2], [len(source), len(target)])
    adapter = skada().SubspaceAlignmentAdapter(n_components=components, random_state=0)
    both = adapter.fit_transform(cases, sample_domain=domain)
    return CommonSpace(np.asarray(both[domain > 0]), lambda x: np.asarray(adapter.pca_target_.transform(x)))
