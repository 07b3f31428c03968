"""What a worker knows of the environment of its daemon: names on a list, so that no secret comes along by oversight."""

from __future__ import annotations

import os
from collections.abc import Mapping

NAMES = frozenset(
    {
        *("PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "VIRTUAL_ENV", "XDG_CACHE_HOME"),
        *("PYTHONPATH", "PYTHONHOME", "PYTHONHASHSEED", "PYTHONUTF8", "PYTHONMALLOC", "PYTHONNOUSERSITE"),
        *("PYTHONUSERBASE", "PYTHONPYCACHEPREFIX", "PYTHONDONTWRITEBYTECODE", "PYTHONWARNINGS", "PYTHONFAULTHANDLER"),
        *("LD_LIBRARY_PATH", "LD_PRELOAD", "DYLD_LIBRARY_PATH", "SSL_CERT_FILE", "SSL_CERT_DIR"),
        *("GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CLOUD_PROJECT"),
    }
)
PREFIXES = (
    *("LC_", "OMP_", "GOMP_", "KMP_", "MKL_", "OPENBLAS_", "VECLIB_", "MALLOC_", "TORCH_", "PYTORCH_"),
    *("CUDA_", "CUDNN_", "CUBLAS_", "NVIDIA_", "NCCL_", "HIP_", "HSA_", "ROCR_"),
    *("AWS_", "AZURE_"),
)
"""Language, threads, memory, torch, GPUs, and the credentials of clouds in which data may be."""

DEFAULTS = {
    "OPENBLAS_NUM_THREADS": "1",
    "PYTORCH_NVML_BASED_CUDA_CHECK": "1",
    "MALLOC_MMAP_THRESHOLD_": "33554432",
    "MALLOC_TRIM_THRESHOLD_": "1073741824",
}
"""NumPy's library starts its threads when it is imported, and a process with threads is not to be forked. Without NVML
torch initializes CUDA where it is only asked whether there is a GPU, and no fork could use that any more. Processes
that live for one job keep the memory of arrays for the next ones: to give it back and take it again takes time."""


def allowed(environment: Mapping[str, str]) -> dict[str, str]:
    """The part of a daemon's environment that its worker gets, with relative places in PYTHONPATH made absolute: the
    worker's current directory is another one."""
    known = {name: value for name, value in environment.items() if name in NAMES or name.startswith(PREFIXES)}
    if path := known.pop("PYTHONPATH", ""):
        known["PYTHONPATH"] = os.pathsep.join(os.path.abspath(each) for each in path.split(os.pathsep) if each)  # noqa: PTH100
    return DEFAULTS | known
