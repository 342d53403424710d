"""Bring one address to a file: with pooch, again after a failure, and after the pause that a busy server names."""

import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

from multifractal.base.extras import needed

TIMEOUT = 60  # seconds without an answer; our choice
LONGEST_PAUSE = 900  # seconds; our choice: a server that names a longer one is given up
_WORTH_ANOTHER = (408, 425, 429)  # of the answers 4xx; the others will be the same again


def download(url, path, checksum=None, size=None, *, retries, progress=False):
    """Download `url` to the new file `path`; on failure try `retries` times more.

    The pause before another attempt is the one that the answer's ``Retry-After`` names, in seconds or as a date, else 1, 2,
    3 ... up to 10 seconds.

    Raises
    ------
    OSError
        When no attempt succeeded (`requests.RequestException` is one), or the server asks for more than `LONGEST_PAUSE`.
    ValueError
        When what came has another checksum or size.
    """
    for attempt in range(retries + 1):
        try:
            return _attempt(url, path, checksum, size, progress)
        except (OSError, ValueError) as error:
            pause = _pause(error, attempt)
            if attempt == retries or pause is None:
                raise
            if pause > LONGEST_PAUSE:
                raise OSError(
                    f"{url} asks for a pause of {pause:.0f} s, longer than the {LONGEST_PAUSE} s that "
                    "this waits; fetch again later, what is there stays"
                ) from error
            time.sleep(pause)


def _attempt(url, path, checksum, size, progress):
    path = Path(path)
    pooch = needed("pooch")
    downloader = pooch.HTTPDownloader(progressbar=progress, chunk_size=2**20, timeout=TIMEOUT)
    path.unlink(missing_ok=True)
    keeper = pooch.create(path.parent, "", registry={path.name: checksum}, urls={path.name: url})
    keeper.fetch(path.name, downloader=downloader)
    if size is not None and path.stat().st_size != size:
        raise ValueError(f"{path.stat().st_size} bytes came, the record says {size}")
    return path


def _pause(error, attempt):
    """Return the seconds to wait before the attempt after number `attempt`; None when another would be in vain."""
    answer = getattr(error, "response", None)
    if answer is None:
        return min(attempt + 1, 10)
    if 400 <= answer.status_code < 500 and answer.status_code not in _WORTH_ANOTHER:
        return None
    named = _seconds(answer.headers.get("Retry-After", ""))
    return min(attempt + 1, 10) if named is None else named


def _seconds(retry_after):
    """Return the pause that a ``Retry-After`` names (RFC 9110, 10.2.3), in seconds from now; None when it names none."""
    try:
        return max(0.0, float(int(retry_after)))
    except ValueError:
        pass
    try:
        when = parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    return max(0.0, (when.replace(tzinfo=when.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
