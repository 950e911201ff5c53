"""The benchmark: throughput, latency, priority order, beside what this Redis can do. The same as `ironforge bench`."""

from __future__ import annotations

import sys

from ironforge.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["bench", *sys.argv[1:]]))
