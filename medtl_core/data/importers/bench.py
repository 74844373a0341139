"""What an import costs beyond decoding its files, measured in one run."""

import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import joblib
import numpy as np
from PIL import Image

from medtl_core.data.importers.cases import Problems
from medtl_core.data.importers.folders import list_folders
from medtl_core.data.importers.frame import Frame
from medtl_core.data.importers.importing import import_archive
from medtl_core.paired_timing import median_seconds

SIZE = 224  # pixels, of the files and of the archive
COARSE = 28  # pixels of the random field that is enlarged to a file
GRAIN = 4.0  # standard deviation of the noise on it, grey values
QUALITY = 90  # of JPEG
TARGET = 1.5
CLOCKS = {"wall time": time.perf_counter, "processor time": time.process_time}


def run(rounds: int = 3, images: int = 1000) -> list[dict[str, str | int | float]]:
    """Seconds of `import_archive` over those of decoding the same files with Pillow, on all cores.

    The files are grey JPEG of 224 px, smooth with a grain, and the archive has their size: nothing is
    resampled, so that all that the import adds is seen. Both use as many threads as there are cores and take
    turns; `ratio` is that of their medians over `rounds`, once in wall time and once in processor time, and
    `target` the ratio that is allowed. Images per second and threads are given too.
    """
    with tempfile.TemporaryDirectory() as folder:
        source, out = Path(folder, "source"), Path(folder, "bench.npz")
        paths = _draw(source, images)
        threads = joblib.cpu_count()

        def whole() -> None:
            problems = Problems()
            import_archive(list_folders(source, problems), Frame(SIZE), out, problems, workers=threads)
            out.unlink()

        def bare() -> None:
            with ThreadPoolExecutor(threads) as pool:
                for _ in pool.map(_decoded, paths):
                    pass

        seconds = {
            clock: median_seconds({"bare": bare, "whole": whole}, rounds, measure)
            for clock, measure in CLOCKS.items()
        }
    return [
        {
            "name": f"import JPEG {SIZE} px, {clock}",
            "ratio": found["whole"] / found["bare"],
            "of": "times the seconds of bare decoding",
            "cost": True,
            "target": TARGET,
            "images_per_second": images / found["whole"],
            "bare_images_per_second": images / found["bare"],
            "threads": threads,
            "device": "cpu",
        }
        for clock, found in seconds.items()
    ]


def _decoded(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def _draw(source: Path, images: int) -> Sequence[Path]:
    rng = np.random.default_rng(0)
    paths = [source / ("normal", "other")[i % 2] / f"{i}.jpg" for i in range(images)]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        coarse = Image.fromarray(rng.integers(0, 256, (COARSE, COARSE), np.uint8))
        smooth = np.asarray(coarse.resize((SIZE, SIZE), Image.Resampling.BICUBIC))
        grainy = np.clip(smooth + rng.normal(0, GRAIN, smooth.shape), 0, 255).astype(np.uint8)
        Image.fromarray(grainy).save(path, quality=QUALITY)
    return paths
