"""What was found wrong in published code and data, shown by minimal twins; docs/findings.md is written from here."""
