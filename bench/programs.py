"""How the programs of bench/ are run: each with its best setting, one process per workload."""
import functools
import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
AVX512_KERNELS = {"SkylakeX", "Cooperlake", "SapphireRapids"}
# libtorch stays at AVX2 unless it is told otherwise; it then needs these.
LIBTORCH_AVX512_FLAGS = {"avx512f", "avx512bw", "avx512dq", "avx512vl"}
AVX2_KERNELS = AVX512_KERNELS | {"Haswell", "Zen", "Excavator"}


def cmake(*arguments):
    """Whether cmake did what it was told; what it says goes to the terminal."""
    return subprocess.run(["cmake", *map(str, arguments)], stdout=sys.stderr).returncode == 0


def build_retrace():
    """Builds Retrace's own programs for speed, or ends this one."""
    cache = BUILD / "CMakeCache.txt"
    is_release = cache.exists() and "\nCMAKE_BUILD_TYPE:STRING=Release\n" in cache.read_text()
    configured = is_release or cmake(
        "--fresh", "-S", ROOT, "-B", BUILD, "-DCMAKE_BUILD_TYPE=Release", "-G", "Ninja")
    if not configured or not cmake("--build", BUILD, "--target", "retrace_bench", "limits"):
        sys.exit("building Retrace failed")


@functools.cache
def cpu():
    """Model name and feature flags of the processor."""
    facts = {}
    for line in open("/proc/cpuinfo", encoding="utf-8"):
        key, _, value = line.partition(":")
        facts.setdefault(key.strip(), value.strip())
    return facts.get("model name", "unknown"), set(facts.get("flags", "").split())


def environment(kernels, threads, blas_folder):
    env = dict(os.environ)
    for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
        env.pop(name, None)
    if kernels:
        env["OPENBLAS_CORETYPE"] = kernels
    if LIBTORCH_AVX512_FLAGS <= cpu()[1]:
        env["ATEN_CPU_CAPABILITY"] = "avx512"
    env["OMP_NUM_THREADS"] = str(threads)
    if threads > 1:
        env |= {"OMP_PROC_BIND": "true", "OMP_PLACES": "cores", "GOMP_SPINCOUNT": "10000"}
    if blas_folder:
        env["LD_LIBRARY_PATH"] = blas_folder
    return env


def run(program, workload, threads, seconds, env):
    """The results of one process, a dict each."""
    command = [program, workload, "--threads", str(threads), "--seconds", str(seconds)]
    last_core = {max(os.sched_getaffinity(0))}
    pin = (lambda: os.sched_setaffinity(0, last_core)) if threads == 1 else None
    done = subprocess.run(command, env=env, preexec_fn=pin, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"{program} {workload} ended with exit code {done.returncode}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def better_kernels(program, flags):
    """Kernels to name when OpenBLAS, left alone, does not use the processor's vectors."""
    env = environment(None, 1, None)
    chosen = run(program, "mlp_small", 1, 0.1, env)[0]["blas"]
    if "avx512f" in flags and chosen not in AVX512_KERNELS:
        return "SkylakeX"
    if "avx2" in flags and chosen not in AVX2_KERNELS:
        return "Haswell"
    return None
