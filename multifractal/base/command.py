"""How every command behaves at a shell: flags in either spelling, one line instead of a traceback, and the exit status."""

from __future__ import annotations

import argparse
import errno
import os
import sys
from collections.abc import Callable
from typing import Any

from multifractal.base.extras import MissingExtraError

STOPPED = 130  # as shells have it for a program that ^C ended
NO_READER = 141  # and for one whose output nobody reads any more, as in `... | head`
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Parser(argparse.ArgumentParser):
    """An `ArgumentParser` that takes --hess-every for --hess_every, and the reverse; help shows the declared spelling."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse as `argparse.ArgumentParser` does, each flag in the spelling that it was declared in."""
        words = list(sys.argv[1:] if args is None else args)
        flags = words[: words.index("--")] if "--" in words else words
        declared = [self._as_declared(word) for word in flags] + words[len(flags) :]
        return super().parse_known_args(declared, namespace)

    def _as_declared(self, word: str) -> str:
        name, equals, value = word.partition("=")
        if not name.startswith("--") or name in self._option_string_actions:
            return word
        alike = {_plain(known): known for known in self._option_string_actions}
        return alike.get(_plain(name), name) + equals + value


def as_command(main: Callable[[], object], name: str, *, again: str | None = None) -> int:
    """Run a command's `main` and return its exit status.

    Parameters
    ----------
    main : callable without arguments
        Where it returns an int, that is the exit status.
    name : str
        What stands before an error.
    again : str, optional
        What resumes the work after ^C or on a full disk, "the same command with --resume" for instance; None where it starts over.

    Returns
    -------
    int
        0; 1 with one line on stderr where the user can mend what is wrong; 130 after ^C; 141, silently, where the reader of
        its output has gone.
    """
    try:
        status = main()
        sys.stdout.flush()
    except KeyboardInterrupt:
        print("\nstopped" + (f"; {again} resumes where it was" if again else ""), file=sys.stderr)
        return STOPPED
    except (ValueError, OSError, ArithmeticError, MissingExtraError) as error:
        if isinstance(error, BrokenPipeError) and _nobody_reads():
            return NO_READER
        print(f"{name}: error: {error}", file=sys.stderr)
        if getattr(error, "errno", None) in _NO_ROOM:
            print(
                f"what was finished stays; make room, then {again + ' resumes' if again else 'run it again'}",
                file=sys.stderr,
            )
        return 1
    return status if isinstance(status, int) else 0


def _nobody_reads() -> bool:
    """Say whether it is stdout whose reader has gone; what is still to be written there then goes nowhere."""
    try:
        print(flush=True)  # an empty line, for only what is written is refused
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return True
    return False


def _plain(flag: str) -> str:
    return flag.replace("-", "_")
