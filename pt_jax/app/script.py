"""Imported first by a script: from then on Ctrl-C ends it with one sentence, also while it imports all else."""

import sys
from pathlib import Path

from pt_jax.app import ending

ending.listen(Path(sys.argv[0]).stem)
