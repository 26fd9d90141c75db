import json
import unittest

from support import CommandTest, TINY, needs_programs


@needs_programs
class Report(CommandTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        made = cls()
        make = made.succeed
        words = ["--time-steps", "1"]
        cls.full = make("sbp-profile", *TINY, *words, "--json").stdout
        cls.half = make("sbp-profile", *TINY, *words, "--strategy", "sbp:keep=0.5", "--json").stdout
        cls.train = make("sbp-train", *TINY, "--steps", "3", "--json").stdout

    def setUp(self):
        super().setUp()
        for name in ["full", "half", "train"]:
            (self.folder / f"{name}.json").write_text(getattr(self, name))

    def file(self, name, content=None):
        path = self.folder / f"{name}.json"
        if content is not None:
            path.write_text(content)
        return path

    def test_prints_what_the_command_printed(self):
        path = self.folder / "x.json"
        for program, words in [("sbp-profile", ["--time-steps", "1"]),
                               ("sbp-train", ["--steps", "3"])]:
            text = self.succeed(program, *TINY, *words, "-o", path, "--force").stdout
            self.assertEqual(self.succeed("sbp-report", path).stdout, text)

    def test_several_files_and_standard_input(self):
        one = self.succeed("sbp-report", self.file("full")).stdout
        other = self.succeed("sbp-report", self.file("train")).stdout
        both = self.succeed("sbp-report", self.file("full"), self.file("train")).stdout
        self.assertTrue(both.startswith(one + "\n" + other + "\ncomparison of 2 reports\n"))
        self.assertEqual(self.succeed("sbp-report", "-", input=self.full).stdout, one)

    def test_top(self):
        self.assertIn("--top 0 shows all",
                      self.succeed("sbp-report", self.file("full"), "--top", "1").stdout)

    def test_diff(self):
        text = self.succeed("sbp-report", "--diff", self.file("full"), self.file("half")).stdout
        for part in ["difference of two profiles", "saved distinct", "activation", "blocks.1", "-"]:
            self.assertIn(part, text)
        swapped = self.succeed("sbp-report", self.file("half"), self.file("full"), "--diff").stdout
        self.assertNotEqual(swapped, text)
        same = self.succeed("sbp-report", "--diff", self.file("full"), self.file("full")).stdout
        self.assertRegex(same, r"\n  \d+ layers unchanged\n$")

    def test_diff_of_what_cannot_be_compared(self):
        full, train = self.file("full"), self.file("train")
        self.fail_with(1, [f"'{train}'"], "sbp-report", "--diff", full, train)
        self.fail_with(2, ["two files"], "sbp-report", "--diff", full)
        other = json.loads(self.full)
        other["model"]["spec"] = "mlp:hidden=3"
        other = self.file("mlp", json.dumps(other))
        self.fail_with(1, ["'vit'", "'mlp'"], "sbp-report", "--diff", full, other)

    def test_files_that_are_not_reports(self):
        cases = {
            "empty": ("", ["empty"]),
            "words": ("hello", ["not JSON", "line 1"]),
            "cut": (self.full[: len(self.full) // 2], ["truncated"]),
            "last": (self.full.rstrip()[:-1], ["truncated"]),
            "other": ('{"a": 1}', ["not a report"]),
            "list": ("[]", ["not a report"]),
            "nan": (self.full.replace('"tracing_seconds": ', '"tracing_seconds": NaN, "x": ', 1),
                    ["NaN"]),
            "version": (self.full.replace('"schema_version": "1.', '"schema_version": "9.', 1),
                        ["schema_version", "'9."]),
            "kind": (self.full.replace('"kind": "profile"', '"kind": "poem"', 1),
                     ["'poem'", "profile", "train"]),
            "key": (self.full.replace('"logical_bytes"', '"logical"', 1),
                    ["memory.saved.logical_bytes", "missing"]),
            "type": (self.full.replace('"balanced": true', '"balanced": "yes"', 1),
                     ["memory.ledger.balanced"]),
        }
        for name, (content, parts) in cases.items():
            with self.subTest(name):
                self.assertNotEqual(content, self.full)
                path = self.file(name, content)
                self.fail_with(1, [f"'{path}'", *parts], "sbp-report", path)
                # A good file before it is not printed either.
                self.fail_with(1, [f"'{path}'"], "sbp-report", self.file("full"), path)

    def test_files_that_cannot_be_read(self):
        self.fail_with(1, ["none.json", "No such file"], "sbp-report", self.folder / "none.json")
        self.fail_with(2, ["FILE"], "sbp-report")


if __name__ == "__main__":
    unittest.main()
