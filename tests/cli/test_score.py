"""Predictions against readings of real cards, and what predictions say of themselves."""

import importlib.machinery
import importlib.util
import os
import unittest

from support import BIN, ROOT, needs_programs

LOADER = importlib.machinery.SourceFileLoader("score", str(ROOT / "tools/score"))
score = importlib.util.module_from_spec(importlib.util.spec_from_loader("score", LOADER))
LOADER.exec_module(score)

PROGRAM = str(BIN / "sbp-profile")
OURS = ROOT / "tests/prediction"


@needs_programs
class ScoredSet(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.result = score.score(PROGRAM, OURS)

    def test_reports_tell_the_figures_of_the_scored_set(self):
        told = score.predict(PROGRAM, score.rows_in(OURS)[0])["accuracy"]
        self.assertEqual(told["runs"], self.result["left_out"]["runs"])
        self.assertIn("fp32", told.pop("runs_of"))
        for name, value in told.items():
            self.assertAlmostEqual(value, self.result["left_out"][name], delta=5.1e-5, msg=name)

    def test_where_the_best_peer_is_beaten_and_where_not(self):
        """Nearer in the middle and seldom far too low; the few worst are worse (docs/prediction.md,
        which is to be changed with this)."""
        ours, peer = self.result["left_out"], self.result["peers"]["xMem"]
        names = ("median_error", "ninetieth_percentile_error", "worst_error", "mean_error",
                 "under_estimate_rate", "under_by_5_percent_rate")
        worse = [name for name in names if ours[name] >= peer[name]]
        lines = [f"{name}: ours {ours[name]:.4f}, xMem {peer[name]:.4f}" for name in names]
        self.assertEqual(worse, ["ninetieth_percentile_error", "worst_error"], "\n".join(lines))

    def test_what_ran_out_of_memory_does_not_fit(self):
        self.assertTrue(self.result["out_of_memory"])
        for row in self.result["out_of_memory"]:
            self.assertFalse(row["fits"], row["run"])

    def test_figures_of_errors(self):
        figures = score.figures_of([-0.1, 0.0, 0.25])
        self.assertAlmostEqual(figures["median_error"], 0.1)
        self.assertAlmostEqual(figures["worst_error"], 0.25)
        self.assertAlmostEqual(figures["under_estimate_rate"], 1 / 3)
        self.assertAlmostEqual(figures["under_by_5_percent_rate"], 1 / 3)
        self.assertAlmostEqual(score.quantile([1, 2, 4], 0.75), 3)


@needs_programs
@unittest.skipUnless(os.environ.get("SBP_PREDICTION_DIR"), "SBP_PREDICTION_DIR is not set")
class OtherReadings(unittest.TestCase):
    def test_every_row_is_predicted(self):
        rows = score.rows_in(os.environ["SBP_PREDICTION_DIR"])
        self.assertTrue(rows)
        errors, peer = [], []
        for row in rows:
            with self.subTest(row["run"]):
                prediction = score.predict(PROGRAM, row)
                if row["oom"]:
                    self.assertFalse(prediction["fits"]["fits"])
                    continue
                errors.append(score.error_of(prediction, row))
                peer.append(row["estimates"]["xMem"] / row["nvml_peak_delta_bytes"] - 1)
        self.assertLess(score.figures_of(errors)["median_error"],
                        score.figures_of(peer)["median_error"])


if __name__ == "__main__":
    unittest.main()
