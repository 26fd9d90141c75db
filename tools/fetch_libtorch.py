"""Fetches LibTorch and its two CUDA libraries: fetch_libtorch.py DEPENDENCIES FOLDER

Leaves FOLDER/torch and FOLDER/nvidia, as the wheels lay them out, with only what a build reads.
A stamp, written last, holds the sum of DEPENDENCIES: while it matches nothing is done.
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
for glibc in ("2_28", "2_27", "2_25", "2_17"):
    WHEEL_TAGS += ["--platform", f"manylinux_{glibc}_x86_64"]
WHEEL_TAGS += ["--platform", "manylinux2014_x86_64"]

WANTED = (
    "torch/include/",
    "torch/lib/libtorch_cpu.so",
    "torch/lib/libc10.so",
    "torch/lib/libgomp.so.1",
    "nvidia/cu13/lib/libcupti.so.13",
    "nvidia/cu13/lib/libcudart.so.13",
)


def download(dependencies, folder):
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-cache-dir",
               "--disable-pip-version-check", "--only-binary=:all:", "--require-hashes",
               *WHEEL_TAGS, "--dest", str(folder), "--requirement", str(dependencies)]
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if result.returncode != 0:
        print(result.stdout, file=sys.stderr)
        sys.exit("Fetching LibTorch failed: is there a network? Without one, set SBP_LIBTORCH_DIR "
                 "to a LibTorch 2.14 of yours.")


def unpack(wheels, folder):
    found = set()
    for wheel in wheels.glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            for name in archive.namelist():
                wanted = next((prefix for prefix in WANTED if name.startswith(prefix)), None)
                if wanted:
                    archive.extract(name, folder)
                    found.add(wanted)
        wheel.unlink()
    if found != set(WANTED):
        sys.exit(f"Unpacking LibTorch: the wheels lack {sorted(set(WANTED) - found)}")


def main():
    dependencies, folder = (pathlib.Path(argument) for argument in sys.argv[1:])
    digest = hashlib.sha256(dependencies.read_bytes()).hexdigest()
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
        print(f"Fetching LibTorch into {folder} (600 MB)", file=sys.stderr)
        stamp.unlink(missing_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix="unpacking-") as aside:
            aside = pathlib.Path(aside)
            (aside / "wheels").mkdir()
            download(dependencies, aside / "wheels")
            unpack(aside / "wheels", aside)
            for part in ("nvidia", "torch"):
                shutil.rmtree(folder / part, ignore_errors=True)
                os.rename(aside / part, folder / part)
            (aside / "stamp").write_text(digest)
            os.rename(aside / "stamp", stamp)


main()
