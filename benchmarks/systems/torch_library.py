"""What PyTorch systems share: device, precision, memory, and a matrix product."""

import gc

import torch

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def start() -> None:
    """Nothing to do before PyTorch runs."""


def device() -> dict[str, str]:
    """{"platform": "cpu" or "gpu", "kind": its name}."""
    if DEVICE.type == "cuda":
        return {"platform": "gpu", "kind": torch.cuda.get_device_name()}
    return {"platform": "cpu", "kind": "cpu"}


def use(precision: str) -> str:
    """Compute products so from now on; returns the settings in words."""
    allowed = precision != "float32"
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = allowed
    return f"torch.backends.cuda.matmul.allow_tf32=torch.backends.cudnn.allow_tf32={allowed}"


def wait() -> None:
    """Until a GPU has finished."""
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()


def cores() -> str:
    """What computes, in words."""
    threads = torch.get_num_threads()
    return f"{threads} thread{'s' * (threads > 1)}" if DEVICE.type == "cpu" else "GPU"


def release() -> None:
    """Give memory back to the device."""
    gc.collect()
    if DEVICE.type == "cuda":
        torch.cuda.empty_cache()


def reset_peak() -> None:
    """Measure the peak of memory from now on."""
    if DEVICE.type == "cuda":
        torch.cuda.reset_peak_memory_stats()


def peak_mb() -> float | None:
    """MiB of tensors on a GPU at the peak; None on a CPU, where PyTorch does not count."""
    return torch.cuda.max_memory_allocated() / 2**20 if DEVICE.type == "cuda" else None


def matmul(size, precision):
    """A product of two square matrices [size, size]."""
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    left, right = torch.randn(2, size, size, device=DEVICE, dtype=dtype)

    def product():
        result = left @ right
        wait()
        return result

    return product
