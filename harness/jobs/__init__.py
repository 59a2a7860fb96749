"""Work as jobs: hashed by content, run on any `concurrent.futures` executor, computed once."""

from harness.jobs.executors import executor_maker, open_executor
from harness.jobs.groups import LeftOut, run_groups
from harness.jobs.job import Job
from harness.jobs.run import run_jobs, stream_jobs
from harness.jobs.store import Store

__all__ = ["Job", "LeftOut", "Store", "executor_maker", "open_executor", "run_groups", "run_jobs", "stream_jobs"]
