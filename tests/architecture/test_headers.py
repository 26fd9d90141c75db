"""Every header that does not see LibTorch compiles alone."""

import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import rules

COMPILE = [os.environ.get("CXX", "c++"), "-std=c++20", "-fsyntax-only", "-Wall", "-Wextra",
           "-Wpedantic", "-Wshadow", "-Wconversion", "-Werror",
           '-DSBP_SOURCE_DIR=""']  # which tests find their vectors by


def compile_alone(root, headers):
    """Compiles one source a header, in two calls at a time; returns what the compiler said."""
    with tempfile.TemporaryDirectory() as folder:
        sources = []
        for number, header in enumerate(headers):
            source = pathlib.Path(folder, f"{number}.cpp")
            source.write_text(f'#include "{header}"\n')
            sources.append(str(source))
        calls = [subprocess.Popen([*COMPILE, f"-I{root}", *half], stderr=subprocess.PIPE, text=True)
                 for half in (sources[::2], sources[1::2]) if half]
        said = [call.communicate()[1] for call in calls]
        return "".join(said) if any(call.returncode for call in calls) else ""


class Headers(unittest.TestCase):
    def test_each_compiles_alone(self):
        tree = rules.Tree()
        headers = [path for path in tree.includes
                   if path.endswith(".h") and not tree.libtorch_reached(path)]
        self.assertGreater(len(headers), 10)
        self.assertEqual(compile_alone(rules.ROOT, headers), "")

    def test_one_that_leans_on_another_is_found(self):
        with tempfile.TemporaryDirectory() as folder:
            pathlib.Path(folder, "good.h").write_text("#pragma once\n#include <string>\n"
                                                      "std::string name();\n")
            pathlib.Path(folder, "leaning.h").write_text("#pragma once\nstd::string name();\n")
            self.assertEqual(compile_alone(folder, ["good.h"]), "")
            self.assertIn("leaning.h", compile_alone(folder, ["good.h", "leaning.h"]))


if __name__ == "__main__":
    unittest.main()
