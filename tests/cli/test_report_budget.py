"""A memory budget for CI: exit 0 where all limits hold, 1 with the offenders, 2 for a bad budget."""

import csv
import io
import json
import unittest

from support import CommandTest, TINY, needs_programs, run


@needs_programs
class Budget(CommandTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.text = cls().succeed("sbp-profile", *TINY, "--device", "meta", "--json").stdout
        cls.memory = json.loads(cls.text)["memory"]

    def setUp(self):
        super().setUp()
        self.report = self.folder / "r.json"
        self.report.write_text(self.text)

    def budget(self, content):
        path = self.folder / "budget.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    def test_limits_that_hold(self):
        backward = next(p for p in self.memory["phases"] if p["phase"] == "backward")
        path = self.budget({
            "total": {"peak_bytes": self.memory["peak_bytes"]},
            "phases": {"backward": backward["peak_bytes"]},
            "categories": {"activation": "1 GiB"},
            "layers": {"*": {"saved_distinct_bytes": "1 GiB"}}})
        out = self.succeed("sbp-report", self.report, "--budget", path, "--format", "csv").stdout
        rows = list(csv.DictReader(io.StringIO(out, newline="")))
        self.assertEqual({row["verdict"] for row in rows}, {"ok"})
        self.assertEqual(len(rows), 3 + len(self.memory["layers"]))

    def test_one_byte_less_fails_and_names_it(self):
        path = self.budget({"total": {"peak_bytes": self.memory["peak_bytes"] - 1}})
        done = run("sbp-report", self.report, "--budget", path)
        self.assertEqual(done.returncode, 1)
        self.assertIn("OVER", done.stdout)
        peak = self.memory["peak_bytes"]
        self.assertEqual(done.stderr, f"sbp-report: '{self.report}' is over the budget '{path}': "
                                      f"total peak_bytes ({peak:,} of {peak - 1:,} bytes)\n")

    def test_bad_budgets(self):
        for content, parts in [('{"total": {"peak_bytes": -1}}', ["-1", "350 MiB"]),
                               ('{"totl": {}}', ["'totl'", "did you mean 'total'"]),
                               ('{"layers": {"nothing.*": {"own_peak_bytes": 1}}}', ["nothing.*"]),
                               ("{", ["truncated"]), ("", ["empty"])]:
            with self.subTest(content):
                self.fail_with(2, parts, "sbp-report", self.report, "--budget",
                               self.budget(content))
        self.fail_with(1, ["none.json"], "sbp-report", self.report, "--budget",
                       self.folder / "none.json")


if __name__ == "__main__":
    unittest.main()
