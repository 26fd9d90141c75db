"""What cmake --install lays down works after it has been moved: programs, pages, and a user's own
program against the package, as docs/library.md has it."""

import json
import os
import pathlib
import pty
import re
import select
import shutil
import subprocess
import tempfile
import time
import unittest

import jsonschema

from support import BIN, PROGRAMS, ROOT, needs_programs, schema

BUILD = BIN.parent
PAGE = ROOT / "docs/library.md"


def code_block(name):
    """The fenced block of the page that follows the comment with this name."""
    found = re.search(rf"^<!-- {re.escape(name)} -->\n```\w+\n(.*?)^```", PAGE.read_text(),
                      re.MULTILINE | re.DOTALL)
    return found[1]


def checked(*words, **options):
    done = subprocess.run([str(word) for word in words], text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=600, **options)
    if done.returncode != 0:
        raise AssertionError(f"{words} ended with {done.returncode}:\n{done.stdout}")
    return done.stdout


def typed(line, program, completions):
    """What stands in an interactive bash after `line` and a tabulator."""
    main, other = pty.openpty()
    environment = {**os.environ, "PS1": "> ", "TERM": "dumb", "INPUTRC": "/dev/null"}
    with subprocess.Popen(["bash", "--norc", "--noprofile", "-i"], stdin=other, stdout=other,
                          stderr=other, env=environment, start_new_session=True) as shell:
        os.close(other)
        text = ""

        def read_until(pattern):
            nonlocal text
            end = time.monotonic() + 20
            while not re.search(pattern, text) and time.monotonic() < end:
                if select.select([main], [], [], 0.2)[0]:
                    text += os.read(main, 4096).decode(errors="replace")

        os.write(main, f". {completions}/{program}; stty cols 200; echo read''y\n".encode())
        read_until(r"\nready\r?\n> ")  # from this prompt on the shell itself reads the keys
        text = ""
        os.write(main, f"{line}\t".encode() + b"#END\n")
        read_until("#END")
        os.write(main, b"exit\n")
        shell.wait(timeout=20)
    os.close(main)
    return text.split("#END")[0].replace("\r", "").replace("\a", "").split("> ")[-1]


@needs_programs
@unittest.skipUnless(shutil.which("cmake"), "there is no cmake")
@unittest.skipUnless((BUILD / "cmake_install.cmake").exists(), f"'{BUILD}' is no build folder")
class Install(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="sbp_install_"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        first = cls.folder / "first"
        cls.said = checked("cmake", "--install", BUILD, "--prefix", first)
        cls.prefix = cls.folder / "moved" / "tree"
        cls.prefix.parent.mkdir()
        first.rename(cls.prefix)
        cls.cache = dict(re.findall(r"^(\w+):\w+=(.*)$", (BUILD / "CMakeCache.txt").read_text(),
                                    re.MULTILINE))

    def test_everything_is_there(self):
        for path in ["lib/libsbp_base.a", "lib/libsbp_profiler_torch.a", "lib/libsbp_reports.a",
                     "lib/cmake/sbp/sbpConfig.cmake", "lib/cmake/sbp/sbpConfigVersion.cmake",
                     "lib/cmake/sbp/sbpTargets.cmake", "include/sbp/sbp/base/scope.h",
                     "include/sbp/profiler/torch/profile_step.h", "include/sbp/reports/json.h",
                     "share/sbp/schema/profile.schema.json", "share/sbp/schema/train.schema.json",
                     "share/sbp/schema/correlate.schema.json",
                     "share/sbp/schema/sweep.schema.json",
                     "share/sbp/schema/prediction.schema.json",
                     "share/sbp/recipes/ablations/keep_ratio.json",
                     "share/doc/sbp/README.md", "share/doc/sbp/docs/library.md",
                     *(f"bin/{name}" for name in PROGRAMS),
                     *(f"share/man/man1/{name}.1" for name in PROGRAMS),
                     *(f"share/bash-completion/completions/{name}" for name in PROGRAMS)]:
            self.assertTrue((self.prefix / path).is_file(), f"{path}\n{self.said}")

    def test_each_header_finds_what_it_includes(self):
        root = self.prefix / "include/sbp"
        for header in root.rglob("*.h"):
            for name in re.findall(r'^#include "(.*)"', header.read_text(), re.MULTILINE):
                self.assertTrue((root / name).is_file(), f"{header} includes {name}")

    def test_nothing_points_into_the_sources(self):
        # LibTorch itself may lie there: programs name its folder.
        libtorch = str(ROOT / "build/deps")
        for file in self.prefix.rglob("*"):
            if file.is_file():
                text = file.read_bytes().replace(libtorch.encode(), b"")
                self.assertFalse(str(ROOT).encode() in text, file)

    def test_programs_run_where_the_tree_is_now(self):
        report = json.loads(checked(
            self.prefix / "bin/sbp-profile", "--model", "mlp:hidden=8", "--data",
            "synthetic:image=4,samples=8,classes=2", "--device", "meta", "--json", cwd="/"))
        self.assertTrue(report["memory"]["ledger"]["balanced"])

    @unittest.skipUnless(shutil.which("readelf"), "there is no readelf")
    def test_programs_look_beside_themselves_first(self):
        said = checked("readelf", "-d", self.prefix / "bin/sbp-train")
        self.assertRegex(said, r"path: \[\$ORIGIN/\.\./lib/sbp/torch/lib[:\]]")

    def test_libtorch_beside_the_programs_is_the_one_they_load(self):
        checked("cmake", "--install", BUILD, "--component", "libtorch", "--prefix", self.prefix)
        self.addCleanup(shutil.rmtree, self.prefix / "lib/sbp")
        loaded = checked("ldd", self.prefix / "bin/sbp-train")
        own = [line for line in loaded.splitlines() if str(self.prefix) in line]
        for name in ("libtorch_cpu.so", "libc10.so"):
            self.assertTrue(any(name in line for line in own), loaded)
        self.assertNotIn("not found", loaded)
        checked(self.prefix / "bin/sbp-train", "--list", "models")

    @unittest.skipUnless(shutil.which("groff"), "there is no groff")
    def test_man_pages_are_well_formed_and_complete(self):
        for name in PROGRAMS:
            page = self.prefix / f"share/man/man1/{name}.1"
            self.assertEqual(checked("groff", "-ww", "-man", "-Tutf8", "-z", page), "")
            text = re.sub(r"\x1b\[[\d;]*m|.\x08", "",
                          checked("groff", "-man", "-Tascii", "-P-c", "-rLL=120n", page))
            for option in re.findall(r"^  (?:-\w,)?(--[\w-]+)", checked(BIN / name, "--help"),
                                     re.MULTILINE):
                self.assertIn(option, text)

    def complete(self, program, line):
        script = (f'. "$1"; COMP_LINE="$2"; COMP_POINT=${{#COMP_LINE}}; '
                  f'_{program.replace("-", "_")}; printf "%s\\n" "${{COMPREPLY[@]}}"')
        folder = self.prefix / "share/bash-completion/completions"
        return checked("bash", "-c", script, "bash", folder / program, f"{program} {line}",
                       cwd=self.folder).split()

    def test_completion(self):
        (self.folder / "some report.json").touch()
        (self.folder / "other.json").touch()
        names = self.complete("sbp-train", "--model vit_")
        self.assertIn("vit_tiny_patch16_224", names)
        listed = checked(BIN / "sbp-train", "--list", "models").splitlines()
        self.assertEqual(sorted(names), sorted({line.split("  ")[0] for line in listed
                                                if line.startswith("vit_")}))
        self.assertIn("--zero-grad", self.complete("sbp-profile", "--"))
        for line, wanted in (("--schedule c", ["cosine", "constant"]),
                             ("--schedule=cos", ["cosine"]),
                             ("--list m", ["models"]),
                             ("--strategy full+sb", ["full+sbp"]),
                             ("--strategy sbp:ma", ["mask="]),
                             ("--strategy sbp:keep=0.5,mask=r", ["random"]),
                             ("--model=vit:image=28,pat", ["28,patch="]),
                             ("-o oth", ["other.json"]),
                             ("--data cifar10:path=oth", ["other.json"]),
                             ("--batch ", []), ("--nonsense ", [])):
            with self.subTest(line):
                self.assertEqual(self.complete("sbp-train", line), wanted)
        self.assertEqual(self.complete("sbp-report", "oth"), ["other.json"])

    def test_completion_in_an_interactive_shell(self):
        folder = self.prefix / "share/bash-completion/completions"
        for line, wanted in (("sbp-train --model vit_ti", "sbp-train --model vit_tiny_patch16_224 "),
                             ("sbp-train --strategy sbp:mask=gr", "sbp-train --strategy sbp:mask=grid "),
                             ("sbp-train --strategy=sbp:attention=n",
                              "sbp-train --strategy=sbp:attention=none "),
                             ("sbp-train --evaluation-s", "sbp-train --evaluation-samples ")):
            with self.subTest(line):
                self.assertEqual(typed(line, "sbp-train", folder), wanted)

    def test_the_program_of_the_page(self):
        source = self.folder / "mine"
        source.mkdir()
        for name in ("main.cpp", "CMakeLists.txt"):
            (source / name).write_text(code_block(name))
        launcher = self.cache.get("CMAKE_CXX_COMPILER_LAUNCHER") or shutil.which("ccache") or ""
        checked("cmake", "-S", source, "-B", source / "build", f"-DCMAKE_PREFIX_PATH={self.prefix}",
                f"-DCMAKE_CXX_COMPILER={self.cache['CMAKE_CXX_COMPILER']}",
                f"-DCMAKE_CXX_COMPILER_LAUNCHER={launcher}", "-DCMAKE_CXX_FLAGS=-O0 -Wall -Werror")
        checked("cmake", "--build", source / "build")
        text = checked(source / "build/mine", cwd=source)
        self.assertIn("balanced", text)
        self.assertRegex(text, r"(?m)^ +optimizer state +75\.1 KiB")

        report = json.loads((source / "step.json").read_text())
        jsonschema.Draft7Validator(schema("profile")).validate(report)
        memory = report["memory"]
        self.assertTrue(memory["ledger"]["balanced"])
        categories = memory["categories_at_peak"]
        self.assertEqual(sum(categories.values()), memory["peak_bytes"])
        parameters = 4 * (64 * 128 + 128 + 128 * 10 + 10)
        self.assertEqual(categories["parameter"], parameters)
        self.assertEqual(categories["optimizer_state"], 2 * parameters)
        self.assertEqual(categories["input"], 32 * 64 * 4 + 32 * 8)
        self.assertEqual(categories["unknown"], 4)  # the loss
        self.assertEqual(memory["saved"]["distinct_bytes"], 4 * 32 * 128 + 4 * 32 * 10 + 4)
        shown = checked(self.prefix / "bin/sbp-report", source / "step.json")
        self.assertIn(text.split("alive at the peak")[1], shown)


if __name__ == "__main__":
    unittest.main()
