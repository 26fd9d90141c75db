import json
import os
import unittest

from support import CommandTest, TINY, needs_programs, run

SBP = ["--strategy", "sbp:keep=0.5"]


@needs_programs
class Profile(CommandTest):
    def profile(self, *words):
        done = self.succeed("sbp-profile", *TINY, "--json", "--quiet", *words)
        self.assertEqual(done.stderr, "")
        return self.assert_valid(done.stdout, "profile")

    def test_reports_follow_the_schema(self):
        for words in [[], SBP, ["--device", "meta"], ["--time-steps", "0"], ["--warmup", "0"],
                      ["--optimizer", "sgd:momentum=0.9"], ["--zero-grad", "end"]]:
            with self.subTest(words=words):
                self.profile(*words)

    def test_what_scripts_rely_on(self):
        report = self.profile(*SBP, "--batch", "4", "--seed", "3")
        memory = report["memory"]
        self.assertEqual(sum(memory["categories_at_peak"].values()), memory["peak_bytes"])
        self.assertEqual(sum(cell["bytes"] for cell in memory["cells_at_peak"]),
                         memory["peak_bytes"])
        self.assertTrue(memory["ledger"]["balanced"], memory["ledger"])
        self.assertEqual(memory["ledger"]["dropped_events"], 0)
        self.assertGreater(memory["saved"]["distinct_bytes"], 0)
        self.assertGreater(memory["saved"]["index_bytes"], 0)
        self.assertEqual(report["configuration"]["batch"], 4)
        self.assertEqual(report["configuration"]["seed"], 3)
        self.assertEqual(report["time"]["step_seconds"]["count"], 5)
        self.assertLess(report["strategy"]["effective_keep_ratio"], 1)
        self.assertTrue(report["strategy"]["forward_exact"])
        self.assertTrue(any(entry["keep_ratio"] == 0.5 for entry in report["plan"]))
        self.assertEqual(report["command_line"][0], "sbp-profile")
        self.assertIn("--json", report["command_line"])

    def test_a_dry_run_knows_the_same_bytes_and_no_numbers(self):
        real = self.profile(*SBP)
        dry = self.profile(*SBP, "--device", "meta")
        self.assertEqual(dry["memory"]["saved"], real["memory"]["saved"])
        self.assertIsNone(dry["loss"])
        self.assertIsNone(dry["time"])
        self.assertIn("meta", dry["time_reason"])

    def test_the_same_seed_gives_the_same_loss(self):
        first = self.profile("--seed", "1")
        self.assertEqual(self.profile("--seed", "1")["loss"], first["loss"])
        self.assertNotEqual(self.profile("--seed", "2")["loss"], first["loss"])

    def test_text_is_the_default(self):
        text = self.succeed("sbp-profile", *TINY).stdout
        for part in ["peak ", "runner-up ", "balanced: ", " 0 dropped", "activation", "blocks.0"]:
            self.assertIn(part, text)
        self.assertNotIn("\x1b", text)

    def test_top(self):
        text = self.succeed("sbp-profile", *TINY, "--top", "2").stdout
        self.assertRegex(text, r"and \d+ layers more, .*--top 0 shows all")
        self.assertNotIn("--top 0", self.succeed("sbp-profile", *TINY, "--top", "0").stdout)

    def test_where_the_report_goes(self):
        path = self.folder / "x.json"
        both = self.succeed("sbp-profile", *TINY, "--json", "-o", path)
        self.assertEqual(both.stdout, path.read_text())
        text = self.succeed("sbp-profile", *TINY, "-o", path, "--force")
        self.assertTrue(text.stdout.startswith("profile of"))
        self.assert_valid(path.read_text(), "profile")
        quiet = self.succeed("sbp-profile", *TINY, "-o", path, "--force", "--quiet")
        self.assertEqual(quiet.stdout + quiet.stderr, "")
        self.assert_valid(self.succeed("sbp-profile", *TINY, "-o", "-").stdout, "profile")
        self.assertEqual(os.listdir(self.folder), ["x.json"])

    def test_print_plan_runs_nothing(self):
        # A step of this size would need minutes and more memory than there is.
        words = ["--model", "vit_large_patch16_224", "--batch", "100000", "--print-plan", *SBP]
        text = self.succeed("sbp-profile", *words, timeout=60).stdout
        self.assertIn("plan of sbp:keep=0.5", text)
        plan = json.loads(self.succeed("sbp-profile", *words, "--json", timeout=60).stdout)
        self.assertEqual(sorted(plan), ["plan", "strategy"])
        self.assertGreater(len(plan["plan"]), 24)

    def test_the_plan_shown_is_the_plan_run(self):
        done = self.succeed("sbp-profile", *TINY, *SBP, "--print-plan", "--json")
        shown = json.loads(done.stdout)
        ran = self.profile(*SBP)
        self.assertEqual(shown["plan"], ran["plan"])
        self.assertEqual(shown["strategy"], ran["strategy"])

    def test_warnings_go_to_stderr_only_where_no_text_shows_them(self):
        words = ["sbp-profile", *TINY, "--time-steps", "1"]
        as_json = run(*words, "--json")
        warnings = json.loads(as_json.stdout)["warnings"]
        self.assertEqual(len(warnings), 1)
        self.assertEqual(as_json.stderr, f"sbp-profile: warning: {warnings[0]}\n")
        as_text = run(*words)
        self.assertIn(warnings[0], as_text.stdout)
        self.assertEqual(as_text.stderr, "")


if __name__ == "__main__":
    unittest.main()
