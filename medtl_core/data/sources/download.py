"""One file from its publisher: resumed where an earlier attempt stopped, checked, stored at once."""

import shutil
from pathlib import Path
from typing import Any

from tqdm import tqdm

from medtl_core.errors import MedtlError

_CHUNK = 1 << 16  # bytes; what an interruption loses at most
_RESUMPTIONS = 5  # within one call, as long as each brings something
_TIMEOUT = (10, 60)  # seconds to connect, seconds without a byte


class ResumingDownloader:
    """A downloader for pooch that keeps what came in `part` and asks the server for the rest only."""

    def __init__(self, part: Path, progress: bool) -> None:
        self.part = part
        self.progress = progress

    def __call__(self, url: str, output_file: str, pooch: Any) -> None:
        """Fetch `url`; the whole file ends up under `output_file` and `part` is gone.

        Raises:
            requests.RequestException: the server cannot be reached, refuses or stops; `part` stays.
            OSError: no right or no space to write.
        """
        import requests

        for attempt in range(_RESUMPTIONS + 1):
            had = self._size()
            try:
                self._transfer(url)
                break
            except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError):
                if attempt == _RESUMPTIONS or self._size() <= had:
                    raise
        self.part.replace(output_file)

    def _size(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def _transfer(self, url: str) -> None:
        import requests

        offset = self._size()
        # Compressed transfer would make byte ranges meaningless.
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={offset}-"} if offset else {})
        with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT) as answer:
            if answer.status_code == requests.codes.requested_range_not_satisfiable:
                if answer.headers.get("Content-Range", "").endswith(f"/{offset}"):
                    return
                self.part.unlink()
                raise requests.ConnectionError(
                    f"{url}: the server holds another file than the part that was kept"
                )
            answer.raise_for_status()
            if answer.status_code != requests.codes.partial_content:
                offset = 0
            coming = int(answer.headers.get("Content-Length", 0))
            self._require_space(coming)
            self._append(answer, offset, offset + coming)
        if coming and self._size() != offset + coming:
            raise requests.ConnectionError(f"{url}: the connection ended early")

    def _require_space(self, coming: int) -> None:
        free = shutil.disk_usage(self.part.parent).free
        if coming > free:
            raise OSError(f"{coming / 1e6:.0f} MB needed, {free / 1e6:.0f} MB free")

    def _append(self, answer: Any, offset: int, total: int) -> None:
        bar = tqdm(
            desc=self.part.name.removeprefix(".").removesuffix(".part"),
            total=total or None,
            initial=offset,
            unit="B",
            unit_scale=True,
            disable=not self.progress,
        )
        with bar, self.part.open("ab" if offset else "wb") as stream:
            for chunk in answer.iter_content(_CHUNK):
                stream.write(chunk)
                bar.update(len(chunk))


def download(url: str, path: Path, md5: str, *, progress: bool = True) -> Path:
    """Download `url` to `path` unless a file with this MD5 is there already.

    Without an MD5 ("") a file at `path` is taken as it is, and what comes is not checked beyond its length.
    An interrupted download leaves `.NAME.part` beside `path`, from which the next call goes on.

    Raises:
        MedtlError: no connection, refused by the server, checksum mismatch (nothing is left behind), no
            right or no space to write (nothing is left behind).
    """
    import pooch
    import requests

    pooch.get_logger().setLevel("WARNING")
    part = path.with_name(f".{path.name}.part")
    fetcher = ResumingDownloader(part, progress)
    try:
        pooch.retrieve(
            url,
            known_hash=f"md5:{md5}" if md5 else None,
            fname=path.name,
            path=path.parent,
            downloader=fetcher,
        )
    except requests.HTTPError as error:
        status = f"{error.response.status_code} {error.response.reason}"
        raise MedtlError(
            f"{url}: the server answered {status}; expected {path.name}; try again later"
        ) from error
    except requests.RequestException as error:
        kept = part.stat().st_size if part.exists() else 0
        raise MedtlError(
            f"{url}: the download stopped ({type(error).__name__}), {kept} bytes are kept; "
            "ask again and it goes on from there"
        ) from error
    except ValueError as error:
        raise MedtlError(
            f"{url}: checksum mismatch, expected MD5 {md5}; nothing was kept, try again or tell the publisher"
        ) from error
    except OSError as error:
        if part.parent.is_dir():
            part.unlink(missing_ok=True)
        raise MedtlError(
            f"{path}: cannot write ({error.strerror or error}); nothing was left behind; "
            "make room or let MEDTL_CACHE name another folder"
        ) from error
    return path
