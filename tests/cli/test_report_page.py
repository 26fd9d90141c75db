"""sbp-report --html: what it takes, refuses and leaves behind. tests/browser opens the page."""

import json
import os
import unittest

from support import CommandTest, TINY, needs_programs


@needs_programs
class ReportPage(CommandTest):
    def setUp(self):
        super().setUp()
        self.report = self.folder / "run.json"
        self.report.write_text(self.succeed(
            "sbp-profile", *TINY, "--time-steps", "0", "--warmup", "0", "--json").stdout)
        self.page = self.folder / "page.html"

    def test_one_file_that_needs_nothing_else(self):
        done = self.succeed("sbp-report", "--html", self.page, self.report, self.report)
        self.assertEqual((done.stdout, done.stderr), ("", ""))
        text = self.page.read_text()
        self.assertTrue(text.startswith("<!DOCTYPE html>"))
        self.assertIn("default-src 'none'", text)
        data = text.split('id="data">')[1].split("</script>")[0]
        self.assertEqual([one["name"] for one in json.loads(data)["inputs"]], [str(self.report)] * 2)
        self.assertEqual(sorted(os.listdir(self.folder)), ["page.html", "run.json"])

    def test_standard_input(self):
        with self.report.open() as report:
            self.succeed("sbp-report", "-", "--html", self.page, stdin=report)
        self.assertIn('"name":"standard input"', self.page.read_text())

    def test_a_file_that_exists_is_kept_without_force(self):
        self.page.write_text("mine")
        self.fail_with(2, [str(self.page), "--force"], "sbp-report", "--html", self.page, self.report)
        self.assertEqual(self.page.read_text(), "mine")
        self.succeed("sbp-report", "--html", self.page, "--force", self.report)
        self.assertIn("<!DOCTYPE html>", self.page.read_text())

    def test_a_bad_input_leaves_no_page(self):
        bad = self.folder / "bad.json"
        bad.write_text(self.report.read_text()[:-20])
        self.fail_with(1, [str(bad)], "sbp-report", "--html", self.page, self.report, bad)
        self.assertFalse(self.page.exists())
        self.fail_with(2, ["there is no folder"], "sbp-report", "--html",
                       self.folder / "none/page.html", self.report)

    def test_nothing_else_goes_with_it(self):
        for words in (["--diff", self.report], ["--format", "csv"], ["--table", "layers"],
                      ["--budget", self.report],
                      ["-o", self.folder / "x"]):
            with self.subTest(words):
                self.fail_with(2, ["--html"], "sbp-report", "--html", self.page, self.report, *words)
                self.assertFalse(self.page.exists())


if __name__ == "__main__":
    unittest.main()
