"""Writes a greeting: a batch job that runs to its end."""

import os
import pathlib
import sys

OUTPUT = pathlib.Path(os.environ.get("OUTPUT", "/app/output"))


def main() -> int:
    version = os.environ.get("VERSION", "unknown")
    name = os.environ["GREETING_NAME"]
    # Write to a temporary file and rename it, so that nobody reads a partial file.
    new = OUTPUT / ".greeting.new"
    new.write_text(f"Hello {name}, from {version}\n")
    new.rename(OUTPUT / "greeting.txt")
    print(f"greeted {name}")  # to the journal: journalctl -u atta
    return 0


if __name__ == "__main__":
    sys.exit(main())
