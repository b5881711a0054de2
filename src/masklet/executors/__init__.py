"""The same work on many jobs: in this process, in several, or on a Ray cluster. Results come as they are ready.

base     what they share; one job after another, or several processes of this machine
cluster  a Ray cluster
"""

from masklet.executors.base import Executor, Failure, Pool, Serial, alive, gpu_count
from masklet.executors.cluster import Ray

__all__ = ["Executor", "Failure", "Pool", "Ray", "Serial", "alive", "gpu_count"]
