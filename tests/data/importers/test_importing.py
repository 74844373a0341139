"""The import as a whole: all or nothing, in order, in bounded memory."""

import errno
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from made_up_images import noise, refused, save

from medtl_core.data.archives.archive import read_archive
from medtl_core.data.importers import importing, pixels
from medtl_core.data.importers.cases import Problems
from medtl_core.data.importers.folders import list_folders
from medtl_core.data.importers.frame import Frame
from medtl_core.data.importers.importing import import_archive
from medtl_core.data.importers.parallel import in_order
from medtl_core.data.importers.reading import read_together
from medtl_core.errors import MedtlError


@pytest.fixture
def source(tmp_path):
    for i in range(6):
        save(tmp_path / "source" / "ab"[i % 2] / f"{i}.png", noise(seed=i))
    return tmp_path / "source"


@pytest.fixture
def out(tmp_path):
    return tmp_path / "new" / "set.npz"


def imported(source, out, keep_going=False, **options):
    problems = Problems(keep_going)
    return import_archive(list_folders(source, problems), Frame(12), out, problems, **options)


def cut_short(path: Path):
    path.write_bytes(path.read_bytes()[:60])


def test_a_damaged_file_ends_the_import_and_nothing_is_left(source, out):
    cut_short(source / "b" / "3.png")
    assert refused(imported, source, out).startswith("b/3.png: found a file that Pillow cannot read")
    assert list(out.parent.iterdir()) == []


def test_keep_going_leaves_out_what_is_damaged_and_lists_it(source, out):
    cut_short(source / "a" / "0.png")
    cut_short(source / "b" / "3.png")
    done = imported(source, out, keep_going=True)
    assert [problem.split(":")[0] for problem in done.problems] == ["a/0.png", "b/3.png"]
    assert done.images == {"a": 2, "b": 2}
    assert read_archive(out).metadata["file"].tolist() == ["a/2.png", "a/4.png", "b/1.png", "b/5.png"]


def test_a_class_of_which_nothing_can_be_read_is_refused(source, out):
    for path in (source / "a").iterdir():
        cut_short(path)
    assert "no image that can be read in class 'a'" in refused(imported, source, out, keep_going=True)
    assert not out.exists()


@pytest.mark.parametrize("workers", [1, 3])
def test_the_order_and_the_bytes_do_not_depend_on_the_workers(source, out, workers):
    imported(source, out, workers=workers)
    archive = read_archive(out)
    for image, name in zip(archive.images, archive.metadata["file"].tolist(), strict=True):
        np.testing.assert_array_equal(image, noise(seed=int(name[2])))


def test_a_file_that_exists_is_never_replaced(source, out):
    imported(source, out)
    before = out.read_bytes()
    assert "exists already" in refused(imported, source, out)
    assert out.read_bytes() == before
    assert "expected NAME.npz" in refused(imported, source, out.with_suffix(".zip"))


def test_a_full_disk_is_one_line(source, out, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(importing._Table, "add", full)
    assert "No space left on device" in refused(imported, source, out)
    assert list(out.parent.iterdir()) == []


def test_an_interruption_leaves_nothing(source, out, monkeypatch):
    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(importing._Table, "add", stopped)
    with pytest.raises(KeyboardInterrupt):
        imported(source, out)
    assert list(out.parent.iterdir()) == []


@pytest.mark.slow
def test_memory_stays_below_the_images(tmp_path):
    """80 images of 512 px are 21 MB; twice as many need no more memory. NumPy writes in pieces of 16 MB."""
    peaks = []
    for n in (80, 160):
        folder = tmp_path / str(n)
        for i in range(n):
            save(folder / "ab"[i % 2] / f"{i}.bmp", noise(8, 8, seed=i))
        problems = Problems()
        listing = list_folders(folder, problems)
        tracemalloc.start()
        import_archive(listing, Frame(512), tmp_path / f"{n}.npz", problems, workers=1)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 80 * 512 * 512 / 8


PEAK = """
import sys
from pathlib import Path
from medtl_core.data.importers.cases import Case, Listing, Problems
from medtl_core.data.importers.frame import Frame
from medtl_core.data.importers.importing import import_archive

n, folder = int(sys.argv[1]), Path(sys.argv[2])
cases = tuple(Case(folder / "ab"[i % 2] / f"{i % 2}.bmp", f"{i}", "ab"[i % 2]) for i in range(n))
listing = Listing(cases, ("a", "b"), ("made up",))
import_archive(listing, Frame(512), folder / f"{n}.npz", Problems(), workers=1)
# Not ru_maxrss: it begins with that of the process that started this one.
(line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line)
print(int(line.split()[1]) / 1024)
"""


def resident(n, folder):
    """Peak of the resident memory in MB of an import of n images of 512 px, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", PEAK, str(n), folder], capture_output=True, check=True, text=True
    )
    return float(done.stdout)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_pages_that_are_mapped_from_the_disk_do_not_stay_in_memory(tmp_path):
    """600 images of 512 px are 157 MB."""
    for i in range(2):
        save(tmp_path / "ab"[i] / f"{i}.bmp", noise(8, 8, seed=i))
    assert resident(600, tmp_path) < resident(100, tmp_path) + 60


class Counted(list):
    """A list that counts how many of its items were taken."""

    taken = 0

    def __iter__(self):
        for item in super().__iter__():
            self.taken += 1
            yield item


@pytest.mark.parametrize(("together", "taken"), [(1, 8), (3, 24)])
def test_items_come_in_order_with_their_errors_and_few_run_ahead(together, taken):
    def halve(item):
        if item % 5 == 0:
            raise MedtlError(f"{item}")
        return item / 2

    items = Counted(range(40))
    results = in_order(halve, items, 2, False, "test", together)
    first = next(results)
    assert (first[0], str(first[1])) == (0, "0")
    assert items.taken == taken  # four batches for each worker
    rest = list(results)
    assert [item for item, _ in rest] == list(range(1, 40))
    assert [(item, value) for item, value in rest if item % 5] == [(i, i / 2) for i in range(40) if i % 5]
    assert [str(value) for item, value in rest if not item % 5] == [str(i) for i in range(5, 40, 5)]


def test_only_small_images_are_read_together_so_that_memory_stays_bounded():
    images, volume = [Path("a/1.jpg"), Path("b/2.PNG")], Path("c.nii.gz")
    assert [read_together(images, Frame(size)) for size in (64, 224, 512, 4096)] == [16, 13, 2, 1]
    assert read_together([*images, volume], Frame(64)) == 1
    assert read_together([*images, Path("1.dcm")], Frame(64)) == 1


@pytest.mark.parametrize("workers", [1, 3])
def test_grey_images_before_and_after_the_first_in_colour_become_rgb(source, out, workers, monkeypatch):
    monkeypatch.setattr(pixels, "_PIECE", 100)  # bytes, no whole image of 144
    save(source / "a" / "3.png", noise(channels=3, seed=3))
    (source / "b" / "3.png").unlink()
    done = imported(source, out, workers=workers)
    assert "colours: RGB, as 1 of 6 files are in colour" in done.notes
    archive = read_archive(out)
    assert archive.images.shape == (6, 12, 12, 3)
    for image, name in zip(archive.images, archive.metadata["file"].tolist(), strict=True):
        seed = int(name[2])
        expected = noise(channels=3, seed=3) if seed == 3 else np.repeat(noise(seed=seed)[..., None], 3, -1)
        np.testing.assert_array_equal(image, expected)


STOPPED = """
import resource, sys
from pathlib import Path
from medtl_core.data.importers.cases import Problems
from medtl_core.data.importers.folders import list_folders
from medtl_core.data.importers.frame import Frame
from medtl_core.data.importers.importing import import_archive
from medtl_core.errors import MedtlError

source, out, limit = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
problems = Problems(keep_going=True)
try:
    import_archive(list_folders(source, problems), Frame(512), out, problems)
except MedtlError as error:
    print(error)
"""


def test_a_disk_that_fills_up_is_one_line(source, out):
    """6 images of 512 px are 1.5 MiB, of which 1 MiB is written."""
    done = subprocess.run(
        [sys.executable, "-c", STOPPED, source, out, str(1 << 20)], capture_output=True, check=True, text=True
    )
    assert done.stdout == f"{out}: cannot be written (File too large); free space or choose another folder\n"
    assert list(out.parent.iterdir()) == []
