"""The benchmark's folder is no package: its modules are found as when it is run."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))
