"""The paper's source data from a shell: `python -m multifractal.source_data fetch|list|verify|accept`."""

import sys

from multifractal.base.command import Parser, as_command


def main(arguments=None):
    """Run one command; return 0, or 1 when a file is damaged or could not be fetched."""
    parser = Parser(prog="multifractal", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, what in (
        ("fetch", "download what is missing of the Zenodo record"),
        ("list", "say what is there"),
        ("verify", "check every file that is there"),
        ("accept", "take a file as right: check its form and record its checksum"),
    ):
        command = commands.add_parser(name, help=what)
        command.add_argument("--folder", help="default: $MULTIFRACTAL_DATA, then data/")
        if name == "fetch":
            command.add_argument("--server", help="another Zenodo instance")
        if name == "accept":
            command.add_argument(
                "name", help="in the paper's tree, e.g. multifractional_brownian_surface/TAMSD.mat"
            )
    asked = parser.parse_args(arguments)
    return {"fetch": _fetch, "accept": _accept}.get(asked.command, _report)(asked)


def command(words=None):
    """Run one command; return its exit status."""
    words = sys.argv[1:] if words is None else words
    name = f"multifractal {words[0]}" if words else "multifractal.source_data"
    return as_command(lambda: main(words), name, again="the same command")


def _accept(asked):
    from multifractal.source_data import _reading

    try:
        sha256 = _reading.accept(asked.name, asked.folder)
    except (ValueError, FileNotFoundError) as error:
        print(f"multifractal accept: error: {error}", file=sys.stderr)
        return 1
    print(f"{asked.name}: SHA-256 {sha256} is accepted from now on")
    return 0


def _fetch(asked):
    from multifractal.source_data import _download, _reading, _record

    folder = asked.folder or _reading.folders()[0]
    print(f"Fetching doi {_record.DOI} into {folder}")
    try:
        done = _download.fetch(
            folder, server=asked.server or _download.SERVER, progress=sys.stderr.isatty()
        )
    except _download.FetchError as error:
        print(f"multifractal fetch: error: {error}", file=sys.stderr)
        return 1
    print(
        f"{len(done.downloaded)} files downloaded, {len(done.present)} were there, in {done.folder}"
    )
    return 0


def _report(asked):
    from multifractal.source_data._inventory import inventory, verify

    entries = (verify if asked.command == "verify" else inventory)(asked.folder)
    for entry in entries:
        print(f"{entry.name:75}  {entry.status}" + (f"  {entry.path}" if entry.path else ""))
    print(f"{sum(e.path is not None for e in entries)} of {len(entries)} files are there")
    return 0 if all(entry.good for entry in entries) else 1


if __name__ == "__main__":
    raise SystemExit(command())
