"""Who may include whom, read off the #include lines of the tree.

Run as a program with --libtorch-free-sources it lists the sources that must not see LibTorch.
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOP_FOLDERS = ("cli", "profiler", "sbp", "dropit", "experiments", "reports", "tests")

# A module is the longest of these prefixes of a path; what lies below belongs to it.
MODULES = ("cli", "profiler", "profiler/torch", "profiler/cuda", "profiler/predict", "sbp",
           "sbp/base", "dropit", "experiments", "experiments/data", "reports", "tests",
           "tests/torch", "tests/bench")

# Which modules a module may include, itself apart.
MAY_INCLUDE = {
    "sbp/base": (),
    "profiler": ("profiler/predict", "sbp/base"),
    "profiler/predict": ("profiler", "sbp/base"),
    "profiler/torch": ("profiler", "sbp/base"),
    "profiler/cuda": ("profiler", "profiler/torch", "sbp/base"),
    "sbp": ("sbp/base",),
    "dropit": ("sbp", "sbp/base"),
    "reports": ("profiler", "profiler/predict", "sbp/base"),
    "experiments/data": ("sbp", "sbp/base"),
    "experiments": ("profiler", "profiler/torch", "profiler/cuda", "profiler/predict", "sbp",
                    "sbp/base", "dropit", "reports", "experiments/data"),
    "cli": ("sbp/base", "reports", "experiments"),
    "tests": tuple(name for name in MODULES if not name.startswith("tests/")),
    "tests/torch": MODULES,
    "tests/bench": MODULES,  # programs that measure, with LibTorch or without
}

# Of the profiler, reports see the headers of data alone.
DATA_HEADERS = ("profiler/allocator_log.h", "profiler/memory_profile.h", "profiler/record.h",
                "profiler/predict/prediction.h")

LIBTORCH = re.compile(r"(ATen|c10|caffe2|torch)/")
LIBTORCH_IN_PATH_HEADERS = re.compile(r"(ATen/core|c10)/")
LIBTORCH_FREE = ("sbp/base", "profiler", "profiler/predict", "reports", "cli", "experiments/data",
                 "tests")

# A library, and the only files that may include it.
LIBRARIES = (
    ("the JSON library", re.compile(r"nlohmann/"), re.compile(
        r"reports/[^/]+\.cpp|reports/json_(writing|reading)\.h|"
        r"experiments/data/safetensors(_writer)?\.cpp|experiments/recipes/[^/]+\.cpp|"
        r"experiments/recipes/settings_file\.h|experiments/sweep/recipe\.cpp|tests/.*")),
    ("the argument parser", re.compile(r"CLI/"), re.compile(r"cli/[^/]+\.cpp")),
    ("libjpeg", re.compile(r"(jpeglib|jerror|turbojpeg)\.h"), re.compile(
        r"experiments/data/jpeg\.cpp|tests/.*")),
    ("liblzma", re.compile(r"lzma"), re.compile(r"experiments/data/compressed\.cpp|tests/.*")),
    ("CUPTI", re.compile(r"cupti"), re.compile(r"profiler/cuda/[^/]+\.cpp")),
    ("doctest", re.compile(r"doctest/"), re.compile(r"tests/.*")),
)

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.MULTILINE)


class Tree:
    """The C++ files of a repository and what each includes."""

    def __init__(self, root=ROOT):
        self.root = pathlib.Path(root)
        self.includes = {}  # path -> [(quoted, included path)]
        for top in TOP_FOLDERS:
            for suffix in ("*.h", "*.cpp"):
                for file in sorted((self.root / top).rglob(suffix)):
                    found = INCLUDE.findall(file.read_text())
                    path = file.relative_to(self.root).as_posix()
                    self.includes[path] = [(sign == '"', name) for sign, name in found]
        self.plan_stems = self._stems("sbp", "plan")
        self.cupti_stems = self._stems("profiler/cuda", "cupti")

    def _stems(self, folder, library):
        # Some folders hold a LibTorch-free library beside another; CMake says which file is whose.
        lists = self.root / folder / "CMakeLists.txt"
        text = lists.read_text() if lists.exists() else ""
        found = re.search(rf"sbp_library\({library}\s+SOURCES\s+([^)]*?)\s+(?:PUBLIC|PRIVATE|\))", text)
        names = found.group(1).split() if found else []
        for variable in re.findall(r"\$\{(\w+)\}", " ".join(names)):
            for values in re.findall(rf"set\({variable}\s+([^)]*)\)", text):
                names += values.split()
        return {f"{folder}/{name}".removesuffix(".cpp") for name in names if name.endswith(".cpp")}

    def libtorch_free(self, path):
        stem = path.rsplit(".", 1)[0]
        return (module_of(path) in LIBTORCH_FREE or stem in self.plan_stems
                or stem in self.cupti_stems)

    def libtorch_reached(self, path):
        """The chain of includes by which a file sees LibTorch, or None."""
        seen, waiting = {path}, [[path]]
        while waiting:
            chain = waiting.pop(0)
            for _, name in self.includes.get(chain[-1], ()):
                if name in self.includes:
                    if name not in seen:
                        seen.add(name)
                        waiting.append(chain + [name])
                elif LIBTORCH.match(name):
                    return chain + [name]
        return None


def module_of(path):
    return max((m for m in MODULES if path.startswith(m + "/")), key=len)


def module_violations(path, name):
    source, target = module_of(path), module_of(name)
    if target != source and target not in MAY_INCLUDE[source]:
        yield f"{path}: '{source}' may not include '{target}' ({name})"
    elif source == "reports" and target.startswith("profiler") and name not in DATA_HEADERS:
        yield f"{path}: of the profiler, reports may include its data headers alone, not {name}"


def library_violations(tree, path, name):
    for library, pattern, allowed in LIBRARIES:
        if pattern.match(name) and not allowed.fullmatch(path):
            yield f"{path}: {library} may not be included here ({name})"
    header = path.endswith(".h")
    if header and name == "torch/torch.h":
        yield f"{path}: no header includes torch/torch.h"
    if header and LIBTORCH.match(name) and module_of(path) in ("sbp", "dropit") \
            and not LIBTORCH_IN_PATH_HEADERS.match(name):
        yield f"{path}: headers here include ATen/core and c10 alone of LibTorch ({name})"
    if name.startswith("fmt/"):
        if header:
            yield f"{path}: no header includes fmt"
        elif tree.libtorch_reached(path):
            yield f"{path}: sees LibTorch, whose own fmt would be found instead of the system's"


def cycles(tree):
    done = set()

    def walk(path, trail):
        if path in trail:
            yield "a circle of includes: " + " -> ".join(trail[trail.index(path):] + [path])
            return
        if path in done:
            return
        for _, name in tree.includes[path]:
            if name in tree.includes:
                yield from walk(name, trail + [path])
        done.add(path)

    for path in tree.includes:
        yield from walk(path, [])


def violations(tree):
    """One sentence for each broken rule."""
    for path, includes in tree.includes.items():
        for quoted, name in includes:
            if name in tree.includes:
                yield from module_violations(path, name)
            elif quoted:
                yield f'{path}: "{name}" is no header, written from the root of the repository'
            yield from library_violations(tree, path, name)
        if tree.libtorch_free(path):
            chain = tree.libtorch_reached(path)
            if chain:
                yield f"{path}: must not see LibTorch: " + " -> ".join(chain[1:])
    yield from cycles(tree)


if __name__ == "__main__" and "--libtorch-free-sources" in sys.argv:
    checked = Tree()
    for source_path in checked.includes:
        if source_path.endswith(".cpp") and checked.libtorch_free(source_path) \
                and not source_path.startswith("tests/"):
            print(source_path)
