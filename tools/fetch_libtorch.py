"""Fetches LibTorch and what it needs of CUDA: fetch_libtorch.py FOLDER DEPENDENCIES [CUDA]

Leaves FOLDER/torch and FOLDER/nvidia, as the wheels lay them out, with only what a build reads.
DEPENDENCIES are those of every build, CUDA those that a build with CUDA devices needs beside them.
A stamp, written last, holds the sum of these files: while it matches nothing is done.
"""

import fcntl
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import zipfile

# The wheels are for one Python and platform, whatever Python runs this.
WHEEL_TAGS = ["--python-version", "3.12", "--implementation", "cp", "--abi", "cp312", "--abi", "none"]
for platform in ("_2_28", "_2_27", "_2_25", "_2_18", "_2_17", "2014", "2010"):
    WHEEL_TAGS += ["--platform", f"manylinux{platform}_x86_64"]

WANTED = (
    "torch/include/",
    "torch/lib/libtorch_cpu.so",
    "torch/lib/libc10.so",
    "torch/lib/libgomp.so.1",
    "nvidia/cu13/lib/libcupti.so.13",
    "nvidia/cu13/lib/libcudart.so.13",
)
WANTED_WITH_CUDA = WANTED + (
    "torch/lib/libc10_cuda.so",
    "torch/lib/libcaffe2_nvrtc.so",
    "torch/lib/libtorch_cuda.so",
    "torch/lib/libtorch_cuda_linalg.so",
    "torch/lib/libtorch_nvshmem.so",
    "nvidia/cu13/include/",
    "nvidia/cu13/lib/",
    "nvidia/cudnn/lib/",
    "nvidia/cusparselt/lib/",
    "nvidia/nccl/lib/",
    "nvidia/nvshmem/lib/",
)


def download(dependencies, folder):
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-cache-dir",
               "--disable-pip-version-check", "--only-binary=:all:", "--require-hashes",
               *WHEEL_TAGS, "--dest", str(folder)]
    for file in dependencies:
        command += ["--requirement", str(file)]
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if result.returncode != 0:
        print(result.stdout, file=sys.stderr)
        sys.exit("Fetching LibTorch failed: is there a network? Without one, set SBP_LIBTORCH_DIR "
                 "to a LibTorch 2.14 of yours.")


def unpack(wheels, folder, wanted_prefixes):
    found = set()
    for wheel in wheels.glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            for name in archive.namelist():
                wanted = [prefix for prefix in wanted_prefixes if name.startswith(prefix)]
                if wanted:
                    archive.extract(name, folder)
                    found.update(wanted)
        wheel.unlink()
    if found != set(wanted_prefixes):
        sys.exit(f"Unpacking LibTorch: the wheels lack {sorted(set(wanted_prefixes) - found)}")


def main():
    folder, *dependencies = (pathlib.Path(argument) for argument in sys.argv[1:])
    with_cuda = len(dependencies) > 1
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in dependencies)).hexdigest()
    stamp = folder / "dependencies.sha256"

    def present():
        return (stamp.exists() and stamp.read_text() == digest
                and (folder / "torch/lib/libtorch_cpu.so").exists())

    if present():
        return
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # a second one waits, then finds it done
        if present():
            return
        size = "2.7 GB" if with_cuda else "600 MB"
        print(f"Fetching LibTorch into {folder} ({size})", file=sys.stderr)
        stamp.unlink(missing_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix="unpacking-") as aside:
            aside = pathlib.Path(aside)
            (aside / "wheels").mkdir()
            download(dependencies, aside / "wheels")
            unpack(aside / "wheels", aside, WANTED_WITH_CUDA if with_cuda else WANTED)
            for part in ("nvidia", "torch"):
                shutil.rmtree(folder / part, ignore_errors=True)
                os.rename(aside / part, folder / part)
            (aside / "stamp").write_text(digest)
            os.rename(aside / "stamp", stamp)


main()
