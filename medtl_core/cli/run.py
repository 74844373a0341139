"""`medtl run` and `medtl notebooks`."""

import json as json_text
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from medtl_core.cli.terminal import plain
from medtl_core.errors import MedtlError
from medtl_core.settings import device, project_root, store_folder

if TYPE_CHECKING:
    from medtl_core.runner.profiles import Profile

INTERRUPTED = "interrupted; the same command continues: finished notebooks and trials are kept"
JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def run(
    notebook: Annotated[
        list[str] | None, typer.Argument(help="Notebooks; all of them if none is named.")
    ] = None,
    profile: Annotated[str, typer.Option(help="Name of a profile in notebooks/profiles.")] = "smoke",
    parameter: Annotated[
        list[str] | None,
        typer.Option(
            "--parameter", "-p", metavar="KEY=VALUE", help="A parameter for the notebooks that declare it."
        ),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Notebooks side by side; as the profile says if none is given.")
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="A Dask scheduler whose workers see this folder. Who reaches it runs code there.",
        ),
    ] = None,
    out: Annotated[
        str | None, typer.Option(metavar="DIR", help="Run directory; runs/PROFILE-DEVICE if none is given.")
    ] = None,
    allow_cpu: Annotated[
        bool, typer.Option("--allow-cpu", help="Run a profile for a GPU without one.")
    ] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Run again what is already done.")] = False,
    timeout: Annotated[int, typer.Option(min=1, metavar="SECONDS", help="Longest time for one cell.")] = 3600,
    json: JsonFlag = False,
) -> None:
    """Run notebooks; print their verdicts and write a report. Exit status 1 if a notebook failed."""
    from medtl_core.cli.inputs import audited, data_sets_at_hand, inspect_inputs, require_networks
    from medtl_core.cli.summary import show_run
    from medtl_core.runner.destination import run_destination
    from medtl_core.runner.environment import cores, decisive_environment, short_name
    from medtl_core.runner.interruption import interruptions_raised
    from medtl_core.runner.notebooks import choose
    from medtl_core.runner.parameters import assignments
    from medtl_core.runner.plan import InputCatalogue, plan_runs
    from medtl_core.runner.profiles import read_profile
    from medtl_core.runner.run import RunSettings, execute_plan

    root = project_folder()
    chosen_profile = read_profile(root / "notebooks" / "profiles", profile)
    notebooks = choose(root, notebook or [])
    overrides = assignments(parameter or [])
    chosen_device = device_for(chosen_profile, allow_cpu)
    own = root / "runs" / f"{profile}-{short_name(chosen_device)}"
    destination = run_destination(str(own) if out is None else out, root)

    def log(line: str) -> None:
        typer.echo(plain(line), err=json)  # the answer in JSON has stdout for itself

    catalogue = InputCatalogue(inspect_inputs, data_sets_at_hand)
    plan = plan_runs(
        notebooks, chosen_profile, overrides, catalogue, decisive_environment(chosen_device), log
    )
    settings = RunSettings(
        profile=profile,
        out=destination,
        store=store_folder(),
        device=chosen_device,
        workers=workers or chosen_profile.notebooks_at_a_time(chosen_device, cores()),
        scheduler=scheduler,
        timeout=timeout,
        fresh=fresh,
    )
    try:
        with interruptions_raised():
            states = execute_plan(
                plan, settings, log, require_networks, lambda planned: audited(planned, settings.store, log)
            )
    except KeyboardInterrupt:
        typer.echo(INTERRUPTED, err=True)
        raise
    raise typer.Exit(show_run(states, settings.out, as_json=json))


def notebooks(json: JsonFlag = False) -> None:
    """List the notebooks and the parameters that each declares."""
    from medtl_core.runner.notebooks import choose

    found = choose(project_folder(), [])
    if json:
        fields = ("name", "type", "default", "range", "description")
        rows = [
            {
                "name": notebook.name,
                "title": notebook.title,
                "folder": notebook.path.parent.name,
                "parameters": [{f: getattr(p, f) for f in fields} for p in notebook.parameters.declared],
            }
            for notebook in found
        ]
        print(json_text.dumps(rows, indent=1))
        return
    for notebook in found:
        print(plain(f"{notebook.place}: {notebook.title}"))
        for p in notebook.parameters.declared:
            print(plain(f"    {p.name}: {p.type} = {p.default!r}  # {p.description}; {p.range}"))


def project_folder() -> Path:
    """The nearest folder upwards that holds notebooks/claims.yaml. MedtlError if there is none."""
    root = project_root()
    if not (root / "notebooks" / "claims.yaml").is_file():
        raise MedtlError(
            f"{root}: no notebooks/claims.yaml here or above; run medtl inside the project's folder"
        )
    return root


def device_for(profile: "Profile", allow_cpu: bool) -> str:
    """The GPU's name or "cpu". MedtlError where MEDTL_DEVICE or the profile wants a GPU and there is none."""
    from medtl_core.runner.environment import cuda_devices

    wanted = device()
    gpus = [] if wanted == "cpu" else cuda_devices()
    if gpus and not _torch_sees_gpu():
        gpus = []
    if wanted == "cuda" and not gpus:
        raise MedtlError(
            "MEDTL_DEVICE is cuda and there is no GPU that torch can use; unset it or set it to cpu"
        )
    if profile.needs_gpu and not gpus and not allow_cpu:
        raise MedtlError(
            f"profile {profile.name} needs a GPU, found none that torch can use; "
            "choose another profile, or give --allow-cpu to run it on the CPU"
        )
    return gpus[0] if gpus else "cpu"


def _torch_sees_gpu() -> bool:
    import torch

    return torch.cuda.is_available()
