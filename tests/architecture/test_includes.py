"""The include rules hold, and each of them can fail."""

import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import rules

# Each planted file breaks one rule; the words are in the sentence that tells of it.
PLANTED = {
    "profiler/ledger.cpp": ('#include "reports/report.h"', "'profiler' may not include 'reports'"),
    "profiler/torch/hook.cpp": ('#include "sbp/plan.h"', "may not include 'sbp'"),
    "sbp/base/low.cpp": ('#include "sbp/plan.h"', "'sbp/base' may not include 'sbp'"),
    "sbp/linear.cpp": ('#include "profiler/ledger.h"', "'sbp' may not include 'profiler'"),
    "dropit/codec.cpp": ('#include "reports/report.h"', "'dropit' may not include 'reports'"),
    "reports/deep.cpp": ('#include "profiler/ledger.h"', "data headers alone"),
    "cli/sbp_train.cpp": ('#include "sbp/plan.h"', "'cli' may not include 'sbp'"),
    "cli/sbp_report.cpp": ('#include "profiler/ledger.h"', "'cli' may not include 'profiler'"),
    "experiments/run.cpp": ('#include "cli/words.h"', "'experiments' may not include 'cli'"),
    "sbp/plan_late.cpp": ('#include "dropit/codec.h"', "'sbp' may not include 'dropit'"),
    "profiler/direct.cpp": ("#include <ATen/core/Tensor.h>", "must not see LibTorch"),
    "cli/indirect.cpp": ('#include "experiments/leaky.h"',
                         "must not see LibTorch: experiments/leaky.h -> c10/core/Device.h"),
    "sbp/plan.cpp": ('#include "sbp/tensors.h"', "must not see LibTorch: sbp/tensors.h"),
    "profiler/cuda/books.cpp": ("#include <c10/core/Device.h>", "must not see LibTorch"),
    "tests/sbp/test_plan.cpp": ("#include <torch/types.h>", "must not see LibTorch"),
    "profiler/json.cpp": ("#include <nlohmann/json.hpp>", "the JSON library may not"),
    "reports/shown.h": ("#include <nlohmann/json_fwd.hpp>", "the JSON library may not"),
    "experiments/words.cpp": ("#include <CLI/CLI.hpp>", "the argument parser may not"),
    "profiler/device.cpp": ("#include <cupti.h>", "CUPTI may not"),
    "experiments/data/pictures.cpp": ("#include <jpeglib.h>", "libjpeg may not"),
    "experiments/data/packed.cpp": ("#include <lzma.h>", "liblzma may not"),
    "reports/checked.cpp": ("#include <doctest/doctest.h>", "doctest may not"),
    "experiments/model.h": ("#include <torch/torch.h>", "no header includes torch/torch.h"),
    "sbp/heavy.h": ("#include <ATen/ops/linear.h>", "ATen/core and c10 alone"),
    "reports/words.h": ("#include <fmt/format.h>", "no header includes fmt"),
    "experiments/print.cpp": ("#include <ATen/ATen.h>\n#include <fmt/format.h>", "own fmt"),
    "reports/lost.cpp": ('#include "report.h"', "is no header, written from the root"),
    "sbp/circle_a.h": ('#include "sbp/circle_b.h"', "a circle of includes"),
}
HARMLESS = {
    "sbp/CMakeLists.txt": "sbp_library(plan\n  SOURCES plan.cpp\n  PUBLIC sbp::base)\n",
    "profiler/cuda/CMakeLists.txt": "set(more real.cpp)\nsbp_library(cupti\n  SOURCES books.cpp "
                                    "${more}\n  PUBLIC sbp::base)\n",
    "profiler/cuda/tracer.cpp": '#include <c10/core/Device.h>\n#include "profiler/torch/hook.h"\n',
    "profiler/torch/hook.h": "",
    "sbp/plan.h": "", "sbp/base/error.h": "", "profiler/ledger.h": "",
    "profiler/memory_profile.h": "", "dropit/codec.h": "", "cli/words.h": "",
    "reports/report.h": '#include "profiler/memory_profile.h"\n#include <vector>\n',
    "reports/json.cpp": '#include <nlohmann/json.hpp>\n#include <fmt/format.h>\n',
    "experiments/leaky.h": "#include <c10/core/Device.h>\n",
    "sbp/tensors.h": "#include <ATen/core/Tensor.h>\n",
    "sbp/circle_b.h": '#include "sbp/circle_a.h"\n',
    "tests/torch/test_linear.cpp": '#include <torch/torch.h>\n#include "sbp/tensors.h"\n',
}


class IncludeRules(unittest.TestCase):
    def test_the_tree_keeps_them(self):
        tree = rules.Tree()
        self.assertGreater(len(tree.includes), 20)
        self.assertIn("sbp/plan", tree.plan_stems)
        self.assertIn("profiler/cuda/cuda_books", tree.cupti_stems)
        self.assertIn("profiler/cuda/real_cupti", tree.cupti_stems)
        self.assertEqual(list(rules.violations(tree)), [])

    def test_each_planted_violation_is_found_and_nothing_else(self):
        with tempfile.TemporaryDirectory() as folder:
            texts = {**HARMLESS, **{path: line for path, (line, _) in PLANTED.items()}}
            for path, text in texts.items():
                file = pathlib.Path(folder, path)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text + "\n")
            found = list(rules.violations(rules.Tree(folder)))
        for path, (_, words) in PLANTED.items():
            with self.subTest(path):
                self.assertTrue(any(path in told and words in told for told in found), found)
        self.assertEqual(len(found), len(PLANTED), "\n".join(found))


if __name__ == "__main__":
    unittest.main()
