"""Published memory figures beside predicted ones, rules of older PyTorch versions, GPUs as files."""

import json
import re
import unittest

from support import ROOT, TINY, CommandTest, needs_programs

FOLDER = ROOT / "experiments/recipes/published"
FILES = sorted(FOLDER.glob("*.json"))


def rows_of(file):
    return [f"{file.stem}/{row['name']}" for row in json.loads(file.read_text()).get("rows", [])]


@needs_programs
class Published(CommandTest):
    def table(self, path, *words):
        done = self.succeed("sbp-profile", "--published", path, "--json", *words)
        tables = json.loads(done.stdout)["tables"]
        return {row["row"]: row for row in tables["published"]["rows"]}, tables["left_out"]["rows"]

    def test_the_page_shows_what_is_predicted(self):
        def figures(lines):
            return sorted(" ".join(cell for cell in row if cell not in ("", "-")) for row in lines)

        text = self.succeed("sbp-profile", "--published", FOLDER).stdout
        units = re.compile(r"([\d.]+ [MG]iB) +([\d.]+ [MG]iB) +(\S+) +(\S+) +(\S+) +(\S+)")
        page = (ROOT / "docs/published.md").read_text().split("## The table")[1].split("## ")[0]
        rows = [[cell.strip() for cell in line.split("|")[2:-1]] for line in page.splitlines()
                if re.match(r"\|.*\d [MG]iB", line)]
        self.assertEqual(len(rows), 22)
        self.assertEqual(figures(rows), figures(found.groups() for found in units.finditer(text)))

    def test_every_row_is_predicted(self):
        table, left_out = self.table(FOLDER)
        self.assertEqual(list(table), [row for file in FILES for row in rows_of(file)])
        self.assertTrue(any("Video Swin" in row["figure"] for row in left_out), left_out)
        for name, row in table.items():
            with self.subTest(name):
                self.assertAlmostEqual(row["error"],
                                       row["predicted_bytes"] / row["published_bytes"] - 1)
                self.assertNotEqual(row["reasons"], "")
                self.assertIn("--predict", row["command"])
                if name.endswith("/full"):
                    self.assertIsNone(row["predicted_ratio"])
                    self.assertIn("baseline", row["predicted_ratio_reason"])
                else:
                    base = table[name.rpartition("/")[0] + "/full"]
                    self.assertAlmostEqual(row["predicted_ratio"],
                                           row["predicted_bytes"] / base["predicted_bytes"])
                    self.assertAlmostEqual(row["published_ratio"],
                                           row["published_bytes"] / base["published_bytes"])
        # What the page says of the table: vision transformers are close.
        for name in ["sbp_vit_tiny", "sbp_vit_base", "dropit_v1_vit_base_cifar100",
                     "dropit_v1_vit_base_imagenet"]:
            for row in [f"{name}/full", f"{name}/{name.partition('_')[0]}"]:
                self.assertLess(abs(table[row]["error"]), 0.03, row)
            self.assertLess(abs(table[row]["ratio_difference"]), 0.02, row)

    def test_one_file_is_text_with_its_reasons(self):
        text = self.succeed("sbp-profile", "--published", FOLDER / "sbp_vit_tiny.json").stdout
        for part in ["sbp_vit_tiny/sbp", "8248 MiB", "0.677", "gelu: CUDA's autocast list"]:
            self.assertIn(part, text)

    def test_another_card_takes_the_place_of_the_files(self):
        file = FOLDER / "sbp_vit_tiny.json"
        old, _ = self.table(file)
        new, _ = self.table(file, "--predict", "h100")
        self.assertLess(new["sbp_vit_tiny/full"]["predicted_bytes"],
                        old["sbp_vit_tiny/full"]["predicted_bytes"])
        self.assertIn("h100", new["sbp_vit_tiny/full"]["command"])

    def test_files_that_are_none(self):
        self.fail_with(2, ["published figures", "no_such"], "sbp-profile", "--published", "no_such")
        self.fail_with(2, [str(self.folder)], "sbp-profile", "--published", self.folder)
        file = self.folder / "x.json"
        file.write_text('{"predict": "a100", "rows": [{"name": "a", "published": "1 MiB", '
                        '"options": {"seed": 1}}]}')
        self.fail_with(2, ["'x/a'", "'seed'", "strategy"], "sbp-profile", "--published", file)


@needs_programs
class OlderTorch(CommandTest):
    def peak(self, device):
        # The logits of 2 classes are small: the peak is where all maps live.
        words = ["--model", "vit:image=56,patch=4,dim=16,depth=6,heads=4,classes=2", "--batch", "8",
                 "--data", "synthetic:samples=32", "--optimizer", "sgd", "--predict", device]
        done = self.succeed("sbp-profile", *words, "--json", "--quiet")
        return json.loads(done.stdout)["prediction"]

    def test_softmax_inputs_add_exactly_the_maps(self):
        tokens = 14 * 14 + 1
        maps = 6 * 8 * 4 * tokens * tokens * 4  # blocks, batch, heads, N x N, fp32
        now, then = self.peak("a100"), self.peak("a100:torch=1.10")
        self.assertEqual(self.peak("a100:torch=1.11")["peak_requested_bytes"],
                         now["peak_requested_bytes"])
        self.assertEqual(then["allocated_peak"], now["allocated_peak"])
        self.assertEqual(then["peak_requested_bytes"] - now["peak_requested_bytes"], maps)


@needs_programs
class GpuFile(CommandTest):
    def predict(self, file):
        done = self.succeed("sbp-profile", *TINY, "--predict", file, "--json", "--quiet")
        return json.loads(done.stdout)["prediction"]

    def test_a_file_is_the_card_that_it_says(self):
        file = self.folder / "mine.json"
        file.write_text(json.dumps({"about": "ours", "gpu": "a100", "memory": "40GiB",
                                    "context": "300MiB"}))
        prediction = self.predict(file)
        self.assertEqual(prediction, self.predict("a100:memory=40GiB,context=300MiB"))
        self.assertEqual(prediction["fits"]["capacity_bytes"], 40 << 30)
        self.assertEqual(prediction["overheads"]["context"], 300 << 20)

    def test_files_that_are_none(self):
        missing = self.folder / "no.json"
        self.fail_with(2, ["GPU file", f"'{missing}'"], "sbp-profile", *TINY, "--predict", missing)
        for content, parts in [("{", ["not JSON"]), ('{"memory": "1GiB"}', ["no 'gpu'", "a100"]),
                               ('{"gpu": "a1"}', ["'a1'", "a100"]),
                               ('{"gpu": "a100", "colour": "red"}', ["colour", "memory"]),
                               ('{"gpu": "a100", "memory": "much"}', ["'much'", "12GiB"]),
                               ('{"gpu": "a100", "torch": "3"}', ["'3'", "1.10"])]:
            file = self.folder / "bad.json"
            file.write_text(content)
            with self.subTest(content):
                self.fail_with(2, [f"'{file}'", *parts], "sbp-profile", *TINY, "--predict", file)


if __name__ == "__main__":
    unittest.main()
