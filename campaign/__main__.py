"""Run the reliability campaign: `python -m campaign [--count N] [WORD ...]`."""

from multifractal.base.command import Parser, as_command, at_the_shell

at_the_shell(__name__)

from campaign import harness
from tools import tables


def main(arguments=None):
    """Carry out the kinds whose name holds one of the words (all without words), going on where the last run stopped."""
    parser = Parser(prog="python -m campaign", description=__doc__)
    parser.add_argument(
        "words",
        nargs="*",
        help="part of a kind's name; none: all, and the table of docs/reliability.md is written",
    )
    parser.add_argument("--count", type=int, help="at most so many trials of each kind")
    parser.add_argument("--list", action="store_true", help="name the kinds and stop")
    parser.add_argument(
        "--report", action="store_true", help="do nothing new; write the table of what is done"
    )
    parser.add_argument(
        "--again", action="store_true", help="do the failed trials again, after a repair"
    )
    asked = parser.parse_args(arguments)
    records = []
    for kind in harness.kinds():
        if asked.words and not any(word in kind.name for word in asked.words):
            continue
        if asked.list:
            print(f"{kind.name:24} {kind.count:6}  {kind.what}")
            continue
        records.append(_record(kind, asked))
        print(harness.table(records[-1:]).splitlines()[-1], flush=True)
    if not asked.list and (asked.report or not (asked.words or asked.count)):
        harness.write([record for record in records if record["trials"]])
        tables.main([])


def _record(kind, asked):
    if asked.report:
        return harness.report(kind, *harness.remembered(kind))
    if asked.again:
        harness.forget_failures(kind)
    return harness.report(kind, *harness.carry_out(kind, asked.count))


if __name__ == "__main__":
    raise SystemExit(as_command(main, "campaign", again="the same command"))
