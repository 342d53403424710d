"""How every command behaves at a shell: its flags, what it does where results are, one line for a traceback, its exit status."""

from __future__ import annotations

import argparse
import errno
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

from multifractal.base.extras import MissingExtraError, in_words

STOPPED = 130  # as shells have it for a program that ^C ended
NO_READER = 141  # and for one whose output nobody reads any more, as in `... | head`
_A_MOMENT = 0.02  # seconds, for a callback to end
_NAMED = 5  # files of an earlier run in an error
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Parser(argparse.ArgumentParser):
    """An `ArgumentParser` that takes --hess-every for --hess_every, and the reverse; help shows the declared spelling.

    All commands declare words joined by underscores, as the paper's scripts and plot_surface.py (Li et al. 2018) do.
    """

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


def at_the_shell(module: str) -> None:
    """Let ^C end a script in one line from here on: called before it loads what takes seconds, until `as_command` takes over.

    Parameters
    ----------
    module : str
        The script's `__name__`; nothing is done where it was imported.
    """
    if module == "__main__":
        sys.excepthook = _except_stopped
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, _stop_at_once)


def can_go_on(flags: argparse.ArgumentParser) -> None:
    """Add --resume and --overwrite, for a command whose folder keeps what it has finished."""
    one_of = flags.add_mutually_exclusive_group()
    one_of.add_argument("--resume", action="store_true", help="go on where a stopped run was")
    one_of.add_argument(
        "--overwrite", action="store_true", help="begin anew, and replace what is there"
    )


def refuse_results(
    flag: str, folder: str | Path, there: Iterable[str | Path], asked: argparse.Namespace
) -> None:
    """Refuse a folder that holds results, unless the flags ask to go on with them or to replace them.

    Parameters
    ----------
    flag : str
        What names the folder at the shell.
    folder : path-like
    there : iterable of path-like
        Files in it that the command would go on with, or write over; those that exist count.
    asked : Namespace
        With `overwrite`, and `resume` where the command can go on.

    Raises
    ------
    FileExistsError
        Where there is something, and neither flag.
    """
    found = sorted(path.name for path in map(Path, there) if Path(folder, path.name).exists())
    if not found or asked.overwrite or getattr(asked, "resume", False):
        return
    names = ", ".join(found[:_NAMED]) + (" ..." if len(found) > _NAMED else "")
    resume = "--resume to go on, " if hasattr(asked, "resume") else ""
    raise FileExistsError(
        f"{flag} must hold no results yet, got {Path(folder).resolve()} with {names}; pass {resume}--overwrite "
        "to replace them, or another folder"
    )


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
    if signal.getsignal(signal.SIGINT) is _stop_at_once:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.unraisablehook = _hand_on
    try:
        status = main()
        sys.stdout.flush()
    except KeyboardInterrupt:
        _say_stopped(again)
        return STOPPED
    except ModuleNotFoundError as error:
        explained = in_words(error)
        if not isinstance(explained, MissingExtraError):
            raise
        print(f"{name}: error: {explained}", file=sys.stderr)
        return 1
    except (ValueError, OSError, ArithmeticError) as error:
        if isinstance(error, BrokenPipeError) and _nobody_reads():
            return NO_READER
        print(f"{name}: error: {error}", file=sys.stderr)
        if getattr(error, "errno", None) in _NO_ROOM:
            print(
                f"what was finished stays; make room, then {again + ' resumes' if again else 'run it again'}",
                file=sys.stderr,
            )
        return 1
    finally:
        sys.unraisablehook = sys.__unraisablehook__
    return status if isinstance(status, int) else 0


def _nobody_reads() -> bool:
    """Say whether it is stdout whose reader has gone; what is still to be written there then goes nowhere."""
    try:
        print(flush=True)  # an empty line, for only what is written is refused
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return True
    return False


def _say_stopped(again: str | None = None) -> None:
    print("\nstopped" + (f"; {again} resumes where it was" if again else ""), file=sys.stderr)


def _stop_at_once(number: int, frame: FrameType | None) -> None:
    """End the process while it loads its libraries: nothing is lost, and some of them swallow a KeyboardInterrupt."""
    _say_stopped()
    os._exit(STOPPED)


def _hand_on(ignored: sys.UnraisableHookArgs) -> None:
    """Send a ^C again that came within a callback, where Python ignores it: jax has one at each garbage collection."""
    if issubclass(ignored.exc_type, KeyboardInterrupt):
        threading.Timer(_A_MOMENT, os.kill, (os.getpid(), signal.SIGINT)).start()
    else:
        sys.__unraisablehook__(ignored)


def _except_stopped(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Show what ended the program, ^C in one line."""
    if not issubclass(kind, KeyboardInterrupt):
        return sys.__excepthook__(kind, error, trace)
    _say_stopped()
    raise SystemExit(STOPPED)


def _plain(flag: str) -> str:
    return flag.replace("-", "_")
