"""The same work on many jobs: in this process, in several, or on a Ray cluster. Results come as they are ready.

base       what they share, and one job after another
processes  several processes of this machine
cluster    a Ray cluster
"""

from masklet.executors.base import Executor, Failure, Serial, alive
from masklet.executors.cluster import Ray
from masklet.executors.processes import Pool, gpu_count

__all__ = ["Executor", "Failure", "Pool", "Ray", "Serial", "alive", "gpu_count"]
