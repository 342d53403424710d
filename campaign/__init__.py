"""The reliability campaign: many trials of each kind of harm, resumable; `python -m campaign --help`."""
