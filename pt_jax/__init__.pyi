from pt_jax.app import study as study
from pt_jax.app.progress import boundary as boundary
from pt_jax.app.progress import plan as plan
from pt_jax.app.progress import run as run
from pt_jax.app.progress import run_until as run_until
from pt_jax.report import plot as plot
from pt_jax.report.explorer.page import explore as explore
from pt_jax.signal_noise import theory as theory
from pt_jax.signal_noise.derived import DERIVED as DERIVED
from pt_jax.signal_noise.fields import FIELDS as FIELDS
from pt_jax.signal_noise.generators import Data as Data
from pt_jax.signal_noise.point import Point as Point
from pt_jax.signal_noise.point import Static as Static
from pt_jax.signal_noise.trajectory import Outcome as Outcome
from pt_jax.signal_noise.trajectory import Scratch as Scratch
from pt_jax.signal_noise.trajectory import scratch as scratch
from pt_jax.signal_noise.trajectory import simulate as simulate
from pt_jax.sweep import stats as stats
from pt_jax.sweep.dataset import load as load
from pt_jax.sweep.devices import use_all_cores as use_all_cores
from pt_jax.sweep.grid import Sweep as Sweep
from pt_jax.sweep.provenance import provenance as provenance

__version__: str
