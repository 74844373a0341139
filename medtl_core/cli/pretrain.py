"""`medtl pretrain`: weights from medical images, as a file that MEDTL_WEIGHTS finds."""

from pathlib import Path
from typing import Annotated

import typer

from medtl_core import settings
from medtl_core.errors import MedtlError


def pretrain(
    backbone: Annotated[str, typer.Argument(help="A network by its timm name, or googlenet.")],
    sources: Annotated[
        list[str],
        typer.Argument(metavar="DATASET[:DOMAIN]...", help="Data sets to train on, pooled if several."),
    ],
    tag: Annotated[
        str | None,
        typer.Option(help="The file is BACKBONE.TAG.safetensors; the data sets' names if none is given."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder for the file; MEDTL_WEIGHTS if none is given.")
    ] = None,
    image_size: Annotated[int, typer.Option(min=28, max=512, metavar="PIXELS")] = 64,
    steps: Annotated[int, typer.Option(min=1, help="Optimiser steps, in whole epochs.")] = 500,
    batch_size: Annotated[int, typer.Option(min=2)] = 32,
    learning_rate: Annotated[float, typer.Option(min=1e-6, max=0.1)] = 1e-3,
    seed: Annotated[int, typer.Option(min=0)] = 0,
) -> None:
    """Train a network from random weights on data sets; write its weights and their card."""
    folder = out or settings.weights_folder()
    if folder is None:
        raise MedtlError("pretrain: no folder for the weights, expected --out DIR or MEDTL_WEIGHTS; give one")
    from medtl_core.backbones.weight_card import checked_tag, save_weights
    from medtl_core.backbones.zoo import architecture_of
    from medtl_core.transfer.pretraining import Source
    from medtl_core.transfer.pretraining import pretrain as train

    parsed = [Source.parse(source) for source in sources]
    name = checked_tag(tag or "-".join("-".join(filter(None, (s.dataset, s.domain))) for s in parsed))
    file = folder / f"{architecture_of(backbone)}.{name}.safetensors"
    if file.exists():
        raise MedtlError(f"pretrain: {file} exists already; choose another --tag or --out, or delete it")
    trained, card = train(
        backbone,
        parsed,
        image_size=image_size,
        steps=steps,
        batch_size=batch_size,
        learning_rate=learning_rate,
        seed=seed,
        progress=True,
    )
    path = save_weights(trained, name, card, folder)
    print(
        f"{card['training_images']} images, {card['steps']} steps, validation AUROC {card['val_auroc']:.3f}"
    )
    print(f"{path}: use it as {path.stem}, with MEDTL_WEIGHTS={folder}")
