"""Digital phantoms: synthetic medical images whose truth is known and whose difficulty is set.

`draw(spec, seed)` makes an archive, `SPECS` names those of the registry; nothing is read from disk.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from medtl_core.data.archives.archive import Archive
from medtl_core.data.phantoms import acquisition, anatomy
from medtl_core.data.phantoms import lesions as lesion
from medtl_core.data.phantoms.acquisition import AcquisitionStyle
from medtl_core.data.phantoms.publication import publish_with_copies
from medtl_core.data.phantoms.spec import Domain, PhantomSpec, validate_spec
from medtl_core.errors import MedtlError

__all__ = ["SPECS", "AcquisitionStyle", "Domain", "PhantomSpec", "draw", "validate_spec"]

_PATIENTS_AT_ONCE = 64  # rendered together: small enough for the cache, large enough for vectorised work

_SITE_A = AcquisitionStyle()
_SITE_B = AcquisitionStyle(blur=0.9, noise=0.05, gamma=1.5, bias_field=0.5)
_SITE_C = AcquisitionStyle(blur=0.3, noise=0.08, gamma=0.7, bias_field=0.2)
_SITE_D = AcquisitionStyle(blur=0.7, noise=0.04, gamma=1.25, bias_field=0.25)
_LABORATORY_A = AcquisitionStyle(haematoxylin=0.5, eosin=1.8, stain_mixing=0.45, gamma=0.7, blur=1.2)
_LABORATORY_B = AcquisitionStyle(haematoxylin=2.2, eosin=0.4, stain_mixing=0.3, gamma=1.5)

SPECS: dict[str, PhantomSpec] = {
    spec.name: spec
    for spec in (
        PhantomSpec(),
        PhantomSpec(
            name="phantoms_basic",
            n=1200,
            size=28,
            classes=("ring", "striped"),
            contrast=0.15,
            lesion_texture=0.15,
            lesion_radius=(0.25, 0.36),
        ),
        PhantomSpec(
            name="phantoms_colour",
            n=2100,
            colour=True,
            classes=tuple(lesion.FAMILIES),
            contrast=0.25,
            lesion_texture=0.09,
        ),
        PhantomSpec(
            name="phantoms_shift",
            n=3000,
            domains=(
                Domain("scanner_a", _SITE_A),
                Domain("scanner_b", _SITE_B),
                Domain("scanner_c", _SITE_C),
            ),
        ),
        PhantomSpec(
            name="phantoms_stains",
            n=2400,
            colour=True,
            domains=(
                Domain("laboratory_a", _LABORATORY_A),
                Domain("laboratory_b", _LABORATORY_B),
                Domain("laboratory_c", _SITE_A),
            ),
        ),
        PhantomSpec(
            name="phantoms_shortcut",
            n=2400,
            domains=(
                Domain("marked", _SITE_A, share=2.0, shortcut=0.95),
                Domain("unbiased", _SITE_A, shortcut=0.0),
            ),
        ),
        PhantomSpec(
            name="phantoms_sources",
            n=1300,
            domains=(
                Domain("hospital_a", _SITE_A, share=1.25, shortcut=0.9),
                Domain("hospital_b", _SITE_D, shortcut=0.0),
            ),
        ),
        PhantomSpec(
            name="phantoms_leaky",
            n=960,
            classes=("smooth", "spiculated", "ring", "striped"),
            contrast=0.15,
            lesion_texture=0.12,
            leaked=0.6,
        ),
    )
}


def draw(spec: PhantomSpec, seed: int) -> Archive:
    """Draw the archive of a spec: the same images for the same spec and seed.

    images: uint8 (N, S, S), or (N, S, S, 3) in colour; masks: uint8 (N, S, S), 1 on the lesion; groups:
    patients; domains: sites; metadata: `true_label` (N,) int64 before label noise, `mark` (N,) uint8 1
    where a shortcut mark was stamped, `lesion_contrast` (N,) float32 in grey. Images of one patient follow
    each other; copies that a spec asks for stand in the place of others. A patient has one lesion and one
    site; each image of it is another view. Specs that differ
    only in `size` draw the same patients. Raises MedtlError if a field of the spec is out of range or a
    class gets no patient.
    """
    validate_spec(spec)
    streams = (np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(4))
    people, labelling, pixels, copying = streams
    patient = _patient_of_image(spec, people)
    n_patients = int(patient[-1]) + 1
    site = _quota(np.array([domain.share for domain in spec.domains]), n_patients, people)
    truth = _class_of_patient(spec, site, people)
    patients = anatomy.draw_patients(n_patients, people)
    views = anatomy.draw_views(spec.n, people)
    lesions = _draw_lesions(spec, patients, patient, truth[patient], views, people)
    labels = _noisy_labels(truth[patient], spec, labelling)
    marked = _marked(labels, site[patient], spec, labelling)

    shape = (spec.n, spec.size, spec.size)
    images = np.empty((*shape, 3) if spec.colour else shape, np.uint8)
    masks = np.empty(shape, np.uint8)
    for first in range(0, n_patients, _PATIENTS_AT_ONCE):
        block = slice(*np.searchsorted(patient, [first, first + _PATIENTS_AT_ONCE]))
        images[block], masks[block] = _render(
            spec, patients, patient[block], site, views, lesions, block, pixels
        )
    acquisition.stamp_marks(images, marked, labelling)
    drawn = Archive(
        name=spec.name,
        images=images,
        labels=labels,
        class_names=spec.classes,
        groups=np.array([f"patient_{p:05d}" for p in patient]),
        domains=np.array([domain.name for domain in spec.domains])[site[patient]],
        masks=masks,
        mask_names=("background", "lesion"),
        splits=None,
        metadata={
            "true_label": truth[patient],
            "mark": marked.astype(np.uint8),
            "lesion_contrast": lesions.contrast,
        },
        origin="synthetic",
    )
    return drawn if spec.leaked is None else publish_with_copies(drawn, spec.leaked, copying)


def _patient_of_image(spec: PhantomSpec, rng: np.random.Generator) -> NDArray[np.intp]:
    """(N,) index of each image's patient, ascending."""
    low, high = spec.images_per_patient
    counts = rng.integers(low, high + 1, -(-spec.n // low))
    return np.repeat(np.arange(len(counts)), counts)[: spec.n]


def _quota(shares: NDArray[np.float64], n: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """n draws in random order, each kind as often as its share says, give or take one."""
    bounds = np.cumsum(shares / shares.sum())
    places = (np.arange(n) + rng.uniform()) / n
    return rng.permutation(np.minimum(np.searchsorted(bounds, places, side="right"), len(shares) - 1))


def _class_of_patient(
    spec: PhantomSpec, site: NDArray[np.intp], rng: np.random.Generator
) -> NDArray[np.int64]:
    """(P,) class of each patient: every site has the spec's prevalence."""
    k = len(spec.classes)
    shares = np.full(k, 1 / k) if spec.prevalence is None else np.array(spec.prevalence)
    truth = np.empty(len(site), np.int64)
    for d, domain in enumerate(spec.domains):
        here = np.flatnonzero(site == d)
        truth[here] = _quota(shares, len(here), rng)
        absent = set(range(k)) - set(truth[here].tolist())
        if absent:
            raise MedtlError(
                f"phantom spec {spec.name!r}: class {spec.classes[min(absent)]!r} gets none of the "
                f"{len(here)} patients of domain {domain.name!r}, expected at least one; raise n or the "
                "class's prevalence"
            )
    return truth


def _draw_lesions(
    spec: PhantomSpec,
    patients: anatomy.Patients,
    patient: NDArray[np.intp],
    truth: NDArray[np.int64],
    views: anatomy.Views,
    rng: np.random.Generator,
) -> lesion.Lesions:
    """Lesions in the image's frame: place, size and contrast are the patient's, the outline the image's."""
    n_patients = len(patients.body)
    azimuth, distance = rng.uniform(0, 2 * np.pi, n_patients), 0.36 * np.sqrt(rng.uniform(size=n_patients))
    place = np.stack([np.cos(azimuth), np.sin(azimuth)], axis=1) * distance[:, None] * patients.body[:, 2:4]
    radius = rng.uniform(*spec.lesion_radius, n_patients)
    contrast = spec.contrast * rng.uniform(0.7, 1.3, n_patients)
    discs = np.concatenate([place, radius[:, None], radius[:, None], np.zeros((n_patients, 1))], axis=1)
    seen = anatomy.seen_from(discs.astype(np.float32)[patient][:, None], views)[:, 0]
    family = np.array(spec.classes)[truth]
    return lesion.Lesions(
        centre=seen[:, :2],
        radius=seen[:, 2] * rng.uniform(0.92, 1.08, len(patient)).astype(np.float32),
        outline=lesion.draw_outlines(family, spec.irregularity, rng),
        contrast=contrast.astype(np.float32)[patient],
        family=family,
    )


def _noisy_labels(truth: NDArray[np.int64], spec: PhantomSpec, rng: np.random.Generator) -> NDArray[np.int64]:
    k = len(spec.classes)
    wrong = (truth + rng.integers(1, k, len(truth))) % k
    return np.where(rng.uniform(size=len(truth)) < spec.label_noise, wrong, truth)


def _marked(
    labels: NDArray[np.int64], site: NDArray[np.intp], spec: PhantomSpec, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """(N,) whether each image carries a mark; it goes with the recorded label, not with the truth."""
    draws = rng.uniform(size=len(labels))
    sign = np.where(labels == len(spec.classes) - 1, 1.0, -1.0)
    chance = np.zeros(len(labels))
    for d, domain in enumerate(spec.domains):
        if domain.shortcut is not None:
            chance = np.where(site == d, (1 + domain.shortcut * sign) / 2, chance)
    return draws < chance


def _render(
    spec: PhantomSpec,
    patients: anatomy.Patients,
    patient: NDArray[np.intp],
    site: NDArray[np.intp],
    views: anatomy.Views,
    lesions: lesion.Lesions,
    block: slice,
    rng: np.random.Generator,
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Images and lesion masks of the block of images whose patients are `patient`."""
    views, lesions = views.rows(block), lesions.rows(block)
    local = patient - patient[0]
    exponent = patients.exponent[patient[0] : patient[-1] + 1]
    texture = anatomy.power_law_texture(local, exponent, spec.size, rng)
    tissue = anatomy.render_tissue(patients, patient, views, texture, spec.tissue_texture)
    alpha, inner = lesion.render_lesions(lesions, spec.size, rng)
    alpha *= tissue.body
    inner *= np.float32(spec.lesion_texture)
    grey = tissue.grey + alpha * (lesions.contrast[:, None, None] + inner)

    images = np.empty((*grey.shape, 3) if spec.colour else grey.shape, np.uint8)
    for d, domain in enumerate(spec.domains):
        rows = np.flatnonzero(site[patient] == d)
        if len(rows) and spec.colour:
            images[rows] = acquisition.acquire_stained(
                tissue.organs[rows], tissue.body[rows], grey[rows], domain.style, rng
            )
        elif len(rows):
            images[rows] = acquisition.acquire_grey(grey[rows], domain.style, rng)
    return images, (alpha > 0.5).astype(np.uint8)
