"""Batches of source and target cases that a loop sees side by side, with all checks of what it is given."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from medtl_core.adaptation.deep.unlabelled import Labelled, Unlabelled
from medtl_core.adaptation.deep.updates import AdaptationConfig
from medtl_core.data.tensors import Normalisation
from medtl_core.errors import MedtlError

_TARGET = -1


def source_batches(
    source: Labelled, normalisation: Normalisation | None, config: AdaptationConfig, seed: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Inputs and labels (B,) of a batch of the source, for each step."""
    _check_source(source, config)
    for index in _indices(len(source), config, seed, 0):
        yield _labelled_batch(source, index, normalisation)


def paired_batches(
    source: Labelled,
    target: Unlabelled,
    normalisation: Normalisation | None,
    config: AdaptationConfig,
    seed: int,
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Inputs and labels (B,) of a source batch and inputs of a target batch of the same size, each step.

    A domain is drawn without replacement until fewer than a batch are left, then anew. Its order follows from
    `seed` and not from the other domain, so that all methods meet the same source batches. Raises MedtlError
    where a target carries labels, for cases of two shapes and for a domain smaller than a batch.
    """
    require_adaptable([source], target, config)
    target_indices = _indices(len(target), config, seed, _TARGET)
    batches = source_batches(source, normalisation, config, seed)
    for (x_s, y_s), index in zip(batches, target_indices, strict=True):
        yield x_s, y_s, target.inputs(index.to(target.cases.device), normalisation)


def multi_source_batches(
    sources: Sequence[Labelled],
    target: Unlabelled,
    normalisation: Normalisation | None,
    config: AdaptationConfig,
    seed: int,
) -> Iterator[tuple[list[tuple[Tensor, Tensor]], Tensor]]:
    """One batch of inputs and labels of each source, and inputs of a target batch, for each step.

    As `paired_batches`; MedtlError also for fewer than two sources and for sources of which two share no
    class.
    """
    if len(sources) < 2:
        raise MedtlError(
            f"multi-source adaptation: {len(sources)} source found, expected at least 2; use a method for a "
            "single source"
        )
    require_adaptable(sources, target, config)
    _check_classes(sources)
    streams = [_indices(len(source), config, seed, i) for i, source in enumerate(sources)]
    for index_t, *indices in zip(_indices(len(target), config, seed, _TARGET), *streams, strict=True):
        labelled = [
            _labelled_batch(source, index, normalisation)
            for source, index in zip(sources, indices, strict=True)
        ]
        yield labelled, target.inputs(index_t.to(target.cases.device), normalisation)


def _labelled_batch(
    source: Labelled, index: Tensor, normalisation: Normalisation | None
) -> tuple[Tensor, Tensor]:
    index = index.to(source.labels.device)
    return source.inputs(index, normalisation), source.labels[index]


def _indices(n: int, config: AdaptationConfig, seed: int, domain: int) -> Iterator[Tensor]:
    """Indices (B,) of one domain for each step, without replacement within a round."""
    state = np.random.SeedSequence([seed, domain + 1]).generate_state(1, np.uint64)[0]
    order = torch.Generator().manual_seed(int(state >> np.uint64(1)))
    rest: list[Tensor] = []
    for _ in range(config.steps):
        if not rest:
            whole = n - n % config.batch_size
            rest = list(torch.randperm(n, generator=order)[:whole].split(config.batch_size))
        yield rest.pop()


def _check_source(source: Labelled, config: AdaptationConfig, name: str = "the source") -> None:
    _check_size(len(source), config, name)
    classes = source.labels.unique()
    if len(classes) < 2:
        raise MedtlError(
            f"adaptation: {name} has labels of class {int(classes[0])} alone, expected two classes or more"
        )


def require_adaptable(sources: Sequence[Labelled], target: Unlabelled, config: AdaptationConfig) -> None:
    """MedtlError unless these sources and this target can be adapted: see `paired_batches`."""
    if not isinstance(target, Unlabelled):
        raise MedtlError(
            f"adaptation: the target is a {type(target).__name__}, which carries labels; "
            "expected Unlabelled.of(target)"
        )
    _check_size(len(target), config, "the target")
    for i, source in enumerate(sources, start=1):
        _check_source(source, config, f"source {i}" if len(sources) > 1 else "the source")
        cases = Unlabelled.of(source).cases
        # Grey images (1 channel) become three equal channels, so only their size has to agree.
        first = 2 if cases.dtype == torch.uint8 else 1
        if cases.shape[first:] != target.cases.shape[first:] or cases.dtype != target.cases.dtype:
            raise MedtlError(
                f"adaptation: source cases {tuple(cases.shape[1:])} ({cases.dtype}), target cases "
                f"{tuple(target.cases.shape[1:])} ({target.cases.dtype}); expected one size and one kind"
            )


def _check_size(n: int, config: AdaptationConfig, name: str) -> None:
    if n < config.batch_size:
        raise MedtlError(
            f"adaptation: {n} cases in {name}, expected at least one batch of {config.batch_size}; "
            "lower batch_size or take more cases"
        )


def _check_classes(sources: Sequence[Labelled]) -> None:
    classes = [set(source.labels.unique().tolist()) for source in sources]
    for i, first in enumerate(classes):
        for j in range(i + 1, len(classes)):
            if not first & classes[j]:
                raise MedtlError(
                    f"multi-source adaptation: source {i + 1} has classes {sorted(first)} and source {j + 1} "
                    f"{sorted(classes[j])}, expected shared ones; give both the same coding of classes"
                )
