"""Reports as Markdown, CSV and JSON, many at once, and the folder of a sweep."""

import csv
import io
import json
import unittest

from support import CommandTest, ROOT, TINY, needs_programs


@needs_programs
class ReportTables(CommandTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        make = cls().succeed
        words = [*TINY, "--time-steps", "1", "--json"]
        cls.full = make("sbp-profile", *words).stdout
        cls.half = make("sbp-profile", *words, "--strategy", "sbp:keep=0.5").stdout
        cls.train = make("sbp-train", *TINY, "--steps", "3", "--json").stdout

    def setUp(self):
        super().setUp()
        for name in ["full", "half", "train"]:
            (self.folder / f"{name}.json").write_text(getattr(self, name))

    def report(self, *words):
        return self.succeed("sbp-report", *words).stdout

    def test_csv_holds_the_reports_own_numbers(self):
        text = self.report(self.folder / "half.json", "--format", "csv")
        rows = list(csv.DictReader(io.StringIO(text, newline="")))
        layers = json.loads(self.half)["memory"]["layers"]
        self.assertEqual(len(rows), len(layers))
        for row, layer in zip(rows, layers):
            for key in ["name", "kind", "saved_logical_bytes", "saved_distinct_bytes",
                        "saved_marginal_bytes", "own_peak_bytes"]:
                self.assertEqual(row[key], str(layer[key]))
        text = self.report(self.folder / "train.json", "--format", "csv", "--table", "steps")
        rows = list(csv.DictReader(io.StringIO(text, newline="")))
        self.assertEqual([float(row["loss"]) for row in rows],
                         json.loads(self.train)["step_losses"])

    def test_json_holds_every_table(self):
        tables = json.loads(self.report(self.folder / "half.json", "--format", "json"))["tables"]
        report = json.loads(self.half)
        self.assertLessEqual({"summary", "categories", "phases", "layers", "plan"}, set(tables))
        summary = tables["summary"]["rows"][0]
        self.assertEqual(summary["peak_bytes"], report["memory"]["peak_bytes"])
        self.assertEqual(summary["strategy"], report["strategy"]["spec"])
        self.assertEqual(sum(row["bytes"] for row in tables["categories"]["rows"]),
                         report["memory"]["peak_bytes"])
        for table in tables.values():
            for row in table["rows"]:
                self.assertLessEqual(set(table["columns"]), set(row))
                for key, value in row.items():
                    if value is None:
                        self.assertTrue(row[key + "_reason"])

    def test_markdown_has_as_many_cells_in_each_line_of_a_table(self):
        for name in ["half", "train"]:
            text = self.report(self.folder / f"{name}.json", "--format", "markdown", "--top", "0")
            self.assertTrue(text.startswith("# "))
            widths, lines = set(), 0
            for line in text.splitlines():
                if line.startswith("|"):
                    widths.add(line.replace("\\|", "").count("|"))
                    lines += 1
                elif widths:
                    self.assertEqual(len(widths), 1, text)
                    widths = set()
            self.assertGreater(lines, 10)

    def test_many_reports_are_one_table(self):
        files = [self.folder / f"{name}.json" for name in ["full", "half", "train"]]
        text = self.report(*files, "--format", "csv")
        rows = list(csv.DictReader(io.StringIO(text, newline="")))
        self.assertEqual([row["report"] for row in rows], [str(file) for file in files])
        self.assertEqual([row["kind"] for row in rows], ["profile", "profile", "train"])
        self.assertEqual(int(rows[1]["saved_distinct_bytes"]),
                         json.loads(self.half)["memory"]["saved"]["distinct_bytes"])
        self.assertIn("settings that differ", self.report(*files))
        settings = json.loads(self.report(*files[:2], "--format", "json"))["tables"]["settings"]
        self.assertEqual([row["setting"] for row in settings["rows"]], ["strategy"])

    def test_names_in_a_report_are_text(self):
        report = json.loads(self.full)
        report["memory"]["layers"][0]["name"] = "<script>alert(1)</script>|`x`"
        path = self.folder / "bad.json"
        path.write_text(json.dumps(report))
        text = self.report(path, "--format", "markdown", "--top", "0")
        self.assertNotIn("<script>", text)
        self.assertIn("&lt;script&gt;alert(1)&lt;/script&gt;\\|\\`x\\`", text)

    def test_a_table_that_is_not_there(self):
        self.fail_with(2, ["'layer'", "did you mean 'layers'", "full.json"],
                       "sbp-report", self.folder / "full.json", "--table", "layer")
        self.fail_with(2, ["--format", "'html'", "markdown"],
                       "sbp-report", self.folder / "full.json", "--format", "html")

    def test_output_file(self):
        path = self.folder / "out.md"
        words = [self.folder / "full.json", "--format", "markdown"]
        self.assertEqual(self.report(*words, "-o", path), "")
        self.assertEqual(path.read_text(), self.report(*words))
        self.fail_with(2, ["exists", "--force"], "sbp-report", *words, "-o", path)
        self.report(*words, "-o", path, "--force")
        self.fail_with(1, ["none.json"], "sbp-report", self.folder / "none.json", "-o",
                       self.folder / "new.md")
        self.assertFalse((self.folder / "new.md").exists())

    def sweep(self, **changes):
        """The sweep that the fuzzers start from, as a folder."""
        report = json.loads((ROOT / "tests/fuzz/corpus/report/sweep").read_text())
        report.update(changes)
        folder = self.folder / "sweep"
        folder.mkdir(exist_ok=True)
        (folder / "sweep.json").write_text(json.dumps(report))
        return folder, report

    def test_a_sweep_is_its_folder(self):
        folder, report = self.sweep()
        text = self.report(folder)
        self.assertIn("groups over seeds", text)
        self.assertEqual(text, self.report(folder / "sweep.json"))
        rows = list(csv.DictReader(io.StringIO(self.report(folder, "--format", "csv"))))
        self.assertEqual([row["id"] for row in rows], [p["id"] for p in report["points"]])
        tables = json.loads(self.report(folder, "--format", "json"))["tables"]
        self.assertLessEqual({"summary", "differences", "points", "unfinished"}, set(tables))
        both = self.report(folder, self.folder / "full.json")
        self.assertTrue(both.startswith(text))
        self.fail_with(1, ["sweep", "--diff"], "sbp-report", folder, self.folder / "full.json",
                       "--format", "markdown")
        self.fail_with(2, ["'strateg'", "strategy"], "sbp-report", folder,
                       "--baseline", "strateg=full")
        self.fail_with(2, ["--baseline", "'profile'"], "sbp-report", self.folder / "full.json",
                       "--baseline", "strategy=full")

    def test_a_sweep_with_the_same_point_twice(self):
        _, report = self.sweep()
        first = report["points"][0]
        folder, _ = self.sweep(points=[first, first])
        self.fail_with(1, ["points[1]", "another"], "sbp-report", folder)
        folder, _ = self.sweep(points=[first, {**first, "id": "ffff"}])
        self.fail_with(1, ["points[1].axes", "another point"], "sbp-report", folder)

    def test_kinds_and_versions_that_do_not_go_together(self):
        folder, _ = self.sweep()
        self.fail_with(1, ["'sweep'", "'profile'", "one kind"], "sbp-report", "--diff", folder,
                       self.folder / "full.json")
        old = self.folder / "old.json"
        old.write_text(self.full.replace('"schema_version": "1.', '"schema_version": "2.', 1))
        self.fail_with(1, ["old.json", "'2."], "sbp-report", self.folder / "full.json", old,
                       "--format", "csv")

    def test_a_folder_that_is_no_sweep(self):
        self.fail_with(1, ["sweep.json", str(self.folder)], "sbp-report", self.folder)
        (self.folder / "sweep.json").write_text(self.full)
        self.fail_with(1, ["'profile'", "sweep.json"], "sbp-report", self.folder)


if __name__ == "__main__":
    unittest.main()
