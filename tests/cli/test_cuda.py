"""--device cuda, in whatever build and on whatever machine these tests run."""

import json
import pickle
import unittest

from support import CommandTest, MODEL, TINY, needs_programs, nulls_without_reason, run

COMMANDS = {"sbp-profile": ["--batch", "4"],
            "sbp-train": ["--batch", "4", "--steps", "2"],
            "sbp-correlate": ["--batch", "4", "--at", "1", "--batches", "2"]}


def why_not():
    """The sentence of a program that finds no device; None where it finds one."""
    done = run("sbp-profile", *TINY, "--batch", "4", "--device", "cuda", "--print-plan")
    return None if done.returncode == 0 else done.stderr


@needs_programs
class Cuda(CommandTest):
    def test_without_a_device_each_command_says_why_and_what_to_do(self):
        if why_not() is None:
            self.skipTest("this build and machine have a CUDA device")
        for program, options in COMMANDS.items():
            for device in ("cuda", "cuda:1"):
                with self.subTest(program, device=device):
                    self.fail_with(1, [f"device '{device}': ", "use cpu, or meta for a dry run"],
                                   program, *TINY, *options, "--device", device)

    def test_what_is_no_device_is_bad_usage_in_every_build(self):
        for word in ("cuda:", "cuda:x", "cuda:-1", "gpu"):
            with self.subTest(word):
                self.fail_with(2, [f"'{word}'", "cpu, meta, cuda or cuda:N"], "sbp-profile", *TINY,
                               "--device", word)

    def test_with_a_device_each_command_runs(self):
        if why_not() is not None:
            self.skipTest(why_not().strip())
        for program, options in COMMANDS.items():
            with self.subTest(program):
                done = self.succeed(program, *TINY, *options, "--device", "cuda", "--json")
                report = json.loads(done.stdout)
                self.assertEqual(report["configuration"]["device"], "cuda:0")
                self.assertEqual(nulls_without_reason(report), [])

    def test_with_a_device_its_blocks_are_exported(self):
        if why_not() is not None:
            self.skipTest(why_not().strip())
        report, out = self.folder / "r.json", self.folder / "r.pickle"
        self.succeed("sbp-profile", *TINY, "--batch", "4", "--device", "cuda", "--blocks",
                     "-o", report)
        blocks = json.loads(report.read_text())["device_memory"]["blocks"]
        columns = blocks["columns"]
        known = [row for row in blocks["rows"] if row[columns.index("category")] != "unknown"]
        self.assertGreater(2 * len(known), len(blocks["rows"]))
        self.succeed("sbp-report", report, "--memory-pickle", out)
        settings = pickle.loads(out.read_bytes())["allocator_settings"]
        self.assertIn("of the device's allocator", settings["addresses"])

    def test_with_a_device_tensors_ask_for_what_a_dry_run_predicts(self):
        if why_not() is not None:
            self.skipTest(why_not().strip())
        saved = {}
        for device in ("cuda", "meta"):
            done = self.succeed("sbp-profile", *TINY, "--batch", "4", "--device", device, "--json")
            report = json.loads(done.stdout)
            saved[device] = report["memory"]["saved"]
            if device == "cuda":
                memory = report["device_memory"]
                parts = ("requested", "rounding", "awaiting", "cached")
                self.assertEqual(sum(memory[f"{part}_bytes"] for part in parts),
                                 memory["reserved_bytes"])
                self.assertTrue(memory["balanced"], memory["first_problem"])
                self.assertTrue(report["memory"]["ledger"]["balanced"])
        self.assertEqual(saved["cuda"], saved["meta"])

    def test_with_a_device_what_has_no_path_there_is_refused_by_name(self):
        if why_not() is not None:
            self.skipTest(why_not().strip())
        self.fail_with(1, ["device 'cuda:0'", "fused attention", "attention=eager"], "sbp-profile",
                       "--model", f"{MODEL},attention=fused", "--batch", "4", "--device", "cuda")
        self.fail_with(1, ["device 'cuda:0'", "dropit", "on the CPU only"], "sbp-profile", *TINY,
                       "--batch", "4", "--device", "cuda", "--strategy", "dropit")


if __name__ == "__main__":
    unittest.main()
