"""Figures on the page against those of the reports."""

import json
import math
import unittest

import documents
from support_page import ALL, PageTest, start_browser, stop_browser

setUpModule, tearDownModule = start_browser, stop_browser


class Figures(PageTest):
    def test_headline_figures_of_a_profile(self):
        report = documents.profile()
        self.open(report)
        tiles = self.run("Object.fromEntries([...document.querySelectorAll('.tile')].map((one) =>"
                         "[one.querySelector('dt').textContent,"
                         " Number(one.querySelector('data').value)]))")
        memory = report["memory"]
        self.assertEqual(tiles, {
            "Peak": memory["peak_bytes"], "Saved for backward": memory["saved"]["distinct_bytes"],
            "Transient at the peak": memory["transient_peak_bytes"],
            "Indices and scales": memory["saved"]["index_bytes"],
            "Step time, median": 0.0525, "Samples per second": 152.375,
            "Effective keep ratio": 0.5})
        exact = self.run("document.querySelector('.tile .exact').textContent")
        self.assertEqual(exact, f"{memory['peak_bytes']:,} bytes")

    def test_what_is_unknown_says_why(self):
        self.open(documents.profile(time=False, device="meta"))
        said = self.run("[...document.querySelectorAll('.tile .unknown')].map((one) =>"
                        "one.textContent)")
        self.assertEqual(said, ["unknownthe meta device computes nothing"] * 2)

    def test_headline_figures_compared(self):
        reports = [documents.profile(device="meta", time=False), documents.profile(layers=10)]
        self.open(*reports, names=["before.json", "after.json"])
        table = self.run("[...document.querySelectorAll('.comparison tbody tr')].map((row) =>"
                         "[...row.cells].map((cell) => cell.querySelector('data')?.value ??"
                         "cell.textContent))")
        peaks = [str(report["memory"]["peak_bytes"]) for report in reports]
        self.assertEqual(table[0], ["Peak", *peaks])
        self.assertEqual(table[4], ["Step time, median", "–a", "0.0525"])
        self.assertEqual(self.run("document.querySelector('#summary .footnotes').textContent"),
                         "a unknown: the meta device computes nothing")
        ratio = reports[1]["memory"]["peak_bytes"] / reports[0]["memory"]["peak_bytes"]
        self.assertIn(f"{ratio:.3f}×", self.run("document.querySelector('#summary').textContent"))

    def test_tables_of_a_profile_to_the_byte(self):
        report = documents.profile(layers=60)
        memory = report["memory"]
        self.open(report)
        self.open_tables()
        self.assertEqual(
            [(row[1], row[2], row[3], row[4]) for row in self.table("Live bytes by phase")],
            [(one["peak_bytes"], one["live_at_end_bytes"], one["allocated_bytes"],
              one["allocate_events"]) for one in memory["phases"]])
        self.assertEqual([(row[0], row[1]) for row in self.table("Points of the timeline")],
                         [(one["time_ns"], one["live_bytes"]) for one in memory["timeline"]])
        at_peak = {row[0]: row[1] for row in self.table("What lived at the peak")}
        self.assertEqual(at_peak.pop("total"), memory["peak_bytes"])
        self.assertEqual(at_peak, {name.replace("_", " "): value
                                   for name, value in memory["categories_at_peak"].items()})
        blocks = self.table("Who owned the peak, along the depth")
        self.assertEqual(sum(row[2] for row in blocks), memory["peak_bytes"])

    def test_a_prediction_to_the_byte(self):
        report = documents.prediction()
        of = report["prediction"]
        self.open(report)
        self.open_tables()
        rows = dict(row[:2] for row in self.table("The card's memory when tensors take the most"))
        self.assertEqual(rows["all"], of["peak_device_bytes"])
        for name, size in of["overheads"].items():
            self.assertEqual(rows.get(name.replace("_", " "), 0), size)
        self.assertEqual(sum(rows.values()), 2 * of["peak_device_bytes"])
        layers = {row[0]: row for row in self.table("Layers of prediction0")}
        for layer in of["layers"]:
            if layer["kind"] != "block":
                self.assertIn(layer["requested_bytes"], layers[layer["name"]])
        said = self.run("document.getElementById('card').textContent")
        for words in ("It fits, in", "giving cached memory back 2 times", "most likely between",
                      "off by 1.5 % in the middle", "40 % took more"):
            self.assertIn(words, said)
        self.assertIn("sbp-profile --predict", self.run("document.body.textContent"))

    def test_a_prediction_that_does_not_fit(self):
        self.open(documents.prediction(fits=False, runs=0))
        said = self.run("document.getElementById('card').textContent")
        self.assertIn("It does not fit, not in", said)
        self.assertIn("asked for in backward of step 2", said)
        self.assertIn("scored on no run", said)

    def test_layers_to_the_byte(self):
        report = documents.profile(layers=60)
        self.open(report)
        self.run("const rows = document.querySelector('#layers select'); rows.value = 'all';"
                 "rows.dispatchEvent(new Event('change'))")
        shown = {row[0]: row[3:] for row in self.table("Layers of profile0")}
        self.assertEqual(shown, {one["name"] or "outside every layer": [
            one["saved_distinct_bytes"], one["saved_marginal_bytes"], one["saved_logical_bytes"],
            one["own_peak_bytes"], one["saved_count"]] for one in report["memory"]["layers"]})

    def test_layers_compared(self):
        before, after = documents.profile(layers=30), documents.profile(layers=20)
        self.open(before, after, names=["before.json", "after.json"])
        rows = {row[0]: row[2:] for row in self.table("Saved, distinct by layer, compared")}
        bytes_of = [{one["name"]: one["saved_distinct_bytes"] for one in report["memory"]["layers"]}
                    for report in (before, after)]
        self.assertEqual(rows["blocks.3.mlp.fc2"][:2],
                         [bytes_of[0]["blocks.3.mlp.fc2"], bytes_of[1]["blocks.3.mlp.fc2"]])
        gone = bytes_of[0]["blocks.5.attn.qkv"]
        self.assertEqual(rows["blocks.5.attn.qkv"], [gone, "–a", -gone])

    def test_bars_of_layers_that_the_first_report_lacks(self):
        self.open(documents.profile(layers=20), documents.profile(layers=30))
        widths = self.run("[...document.querySelectorAll('#layers td .piece')].map((one) =>"
                          "parseFloat(one.style.width))")
        self.assertGreater(len(widths), 10)
        self.assertTrue(all(width and 0 < width <= 100 for width in widths), widths)

    def test_epochs_and_losses_of_training(self):
        report = documents.training()
        self.open(report)
        self.open_tables()
        self.assertEqual([row[:6] for row in self.table("Epochs")], [
            [one["epoch"], one["steps"], one["train_loss"], one["evaluation"]["loss"],
             one["evaluation"]["top1"], one["evaluation"]["top5"]] for one in report["epochs"]])
        self.assertEqual(self.table("Training loss"),
                         [[i + 1, loss] for i, loss in enumerate(report["step_losses"])])

    def test_gradients_during_training(self):
        report = documents.training()
        report["fidelity"] = documents.fidelity_points()
        self.open(report)
        self.open_tables()
        self.assertEqual(self.table("Gradient during training"), [
            [one["step"], one["cosine"], one["relative_error"], one["norm_ratio"],
             one["sign_agreement"], one["layer_cosine"]["mean"], one["layer_cosine"]["minimum"],
             "blocks.0.mlp.fc1"] for one in report["fidelity"]])

    def test_strategies_and_baselines(self):
        report = documents.correlate()
        self.open(report)
        columns = self.run("[...document.querySelectorAll('#fidelity thead th')].map((one) =>"
                           "one.textContent)")
        rows = {row[0]: dict(zip(columns, row)) for row in self.table("Strategies and baselines")}
        for one in report["fidelity"]["strategies"]:
            row = rows[one["name"]]
            self.assertEqual(
                [row["Cosine"], row["Relative error"], row["Norm ratio"], row["Equal signs"],
                 row["Worst layer's cosine"], row["Worst layer"], row["Saved distinct (bytes)"],
                 row["Peak (bytes)"], row["Keep, got"], row["Whole spec"]],
                [one["cosine"], one["relative_error"], one["norm_ratio"], one["sign_agreement"],
                 one["over_layers"]["cosine"]["minimum"],
                 one["over_layers"]["cosine"]["minimum_layer"],
                 one["saved_distinct_bytes"], one["peak_bytes"], one["effective_keep_ratio"],
                 one["spec"]])
        self.assertEqual(rows["baseline: half the batch"]["Cosine"], 0.6)
        self.assertEqual(rows["baseline: another batch"]["Cosine"], 0.1)

    def test_fidelity_by_layer(self):
        report = documents.correlate()
        self.open(report)
        for key, words in (("cosine", "Cosine"), ("local_cosine", "Local cosine"),
                           ("norm_ratio", "Norm ratio")):
            with self.subTest(key):
                choose = ("[...document.querySelectorAll('#fidelity select')].find((one) =>"
                          "[...one.options].some(({value}) => value === 'local_cosine'))")
                self.run(f"{choose}.value = '{key}'; {choose}.dispatchEvent(new Event('change'))")
                self.open_tables()
                rows = self.table(f"Fidelity by layer: {words}")
                expected = [[one["name"]] + [
                    "–a" if strategy["layers"][i][key] is None else strategy["layers"][i][key]
                    for strategy in report["fidelity"]["strategies"]]
                    for i, one in enumerate(report["fidelity"]["strategies"][0]["layers"])
                    if one["kind"] != "block"]
                self.assertEqual([[row[0], *row[2:]] for row in rows], expected)
                drawn = ("document.querySelectorAll('#fidelity figure:last-of-type .surface "
                         "rect:not(.cursor rect)').length")
                self.assertEqual(self.run(drawn), len(expected) * len(expected[0][1:]))

    def test_points_of_a_sweep(self):
        report = documents.sweep()
        self.open(report)
        rows = self.table("All points")
        self.assertEqual(len(rows), len(report["points"]))
        columns = self.run("[...document.querySelectorAll('#points thead th')].map((one) =>"
                           "one.textContent)")
        peak, cosine = columns.index("Peak (bytes)"), columns.index("Cosine")
        for row, point in zip(rows, report["points"]):
            self.assertEqual(row[0], point["id"])
            if point["status"] == "finished":
                self.assertEqual(row[peak], point["figures"]["peak_bytes"])
                self.assertEqual(row[cosine], point["figures"]["cosine"])
            else:
                self.assertEqual(row[columns.index("Why")], "exit status 1")
                self.assertIn("–", row[peak])

    def test_means_over_seeds_and_their_intervals(self):
        report = documents.sweep()
        self.open(report)
        self.open_tables()
        rows = self.table("Cosine along strategy.sbp.keep")
        groups = {}
        for point in report["points"]:
            if point["status"] == "finished":
                key = (point["axes"]["strategy.sbp.mask"], point["axes"]["strategy.sbp.keep"])
                groups.setdefault(key, []).append(point["figures"]["cosine"])
        self.assertEqual(len(rows), len(groups))
        quantile = {2: 12.706204736174698, 3: 4.3026527297494637}
        for row in rows:
            mask = row[0].split("mask=")[1] if "mask=" in row[0] else None
            values = groups[(mask, next(key[1] for key in groups if key[0] == mask and (
                key[1] is None or float(key[1]) == row[1])))]
            mean = sum(values) / len(values)
            spread = math.sqrt(sum((one - mean) ** 2 for one in values) / (len(values) - 1))
            half = quantile[len(values)] * spread / math.sqrt(len(values))
            self.assertAlmostEqual(row[2], mean, places=12)
            self.assertAlmostEqual(row[3], mean - half, places=9)
            self.assertAlmostEqual(row[4], mean + half, places=9)
            self.assertEqual(row[5], len(values))

    def test_the_front_is_what_nothing_beats(self):
        report = documents.sweep(keeps=20, masks=("grid", "random", "block"), seeds=1)
        self.open(report)
        self.open_tables()
        done = [one["figures"] for one in report["points"] if one["status"] == "finished"]
        points = [(one["saved_distinct_bytes"], one["cosine"]) for one in done]
        expected = sorted(one for one in points if not any(
            other != one and other[0] <= one[0] and other[1] >= one[1] for other in points))
        columns = self.run("[...document.querySelectorAll('#front thead th')].map((one) =>"
                           "one.textContent)")
        x, y = columns.index("Saved for backward (bytes)"), columns.index("Cosine")
        self.assertEqual([(row[x], row[y]) for row in self.table("Points of the Pareto front")],
                         expected)


class Texts(PageTest):
    """What is read, not only what is there."""

    def test_bytes_ratios_and_times_as_people_write_them(self):
        report = documents.profile()
        report["memory"]["peak_bytes"] = 358243144
        report["memory"]["transient_peak_bytes"] = 1023
        report["memory"]["saved"]["distinct_bytes"] = 1048525  # 1,023.95 KiB
        report["strategy"]["effective_keep_ratio"] = 0.999951
        self.open(report)
        self.assertEqual(self.run("[...document.querySelectorAll('.tile data')].map((one) =>"
                                  "one.textContent)"),
                         ["341.6 MiB", "1.0 MiB", "1023 B", "792 B", "52.5 ms", "152.38",
                          "0.99995"])

    def test_no_figure_is_empty(self):
        for name, make in ALL.items():
            with self.subTest(name):
                self.open(*make())
                self.open_tables()
                self.open_details()
                self.assertEqual(self.run("[...document.querySelectorAll('data')].filter((one) =>"
                                          "!/\\d/.test(one.textContent)).length"), 0)
                self.assertIsNone(self.run(
                    "document.body.innerText.match(/undefined|NaN|\\[object|Infinity/)?.[0]"))


if __name__ == "__main__":
    unittest.main()
