"""Accumulation, clipping, averaged weights and schedules of a whole run, and one that diverges."""

import json
import os
import re
import unittest

from support import CommandTest, needs_programs

# A step takes a millisecond or two.
MODEL = "vit:image=8,patch=4,dim=8,depth=1,heads=2,classes=10"
TINY = ["--model", MODEL, "--data", "synthetic:samples=64", "--threads", "1", "--batch", "8"]


@needs_programs
class Options(CommandTest):
    WORDS = [*TINY, "--epochs", "3", "--optimizer", "sgd:lr=0.1", "--accumulate", "2",
             "--clip-norm", "1", "--ema", "0.9", "--schedule", "step:at=[1;2],factor=0.5",
             "--warmup-epochs", "0.5"]

    def train(self, *words):
        done = self.succeed("sbp-train", *words, "--json", "--quiet")
        return self.assert_valid(done.stdout, "train")

    def test_all_at_once(self):
        report = self.train(*self.WORDS)
        # 64 images in batches of 8, two batches a step.
        self.assertEqual(report["steps"], 12)
        self.assertEqual(len(report["step_losses"]), 12)
        self.assertEqual([epoch["steps"] for epoch in report["epochs"]], [4, 8, 12])
        rates = [epoch["learning_rate"] for epoch in report["epochs"]]
        for rate, expected in zip(rates, [0.1, 0.05, 0.025], strict=True):
            self.assertAlmostEqual(rate, expected, places=12)

        given = report["configuration"]
        self.assertEqual(given["accumulate"], 2)
        self.assertEqual(given["clip_norm"], 1.0)
        self.assertEqual(given["ema"], 0.9)
        self.assertEqual(given["steps_per_epoch"], 4)
        self.assertEqual(given["warmup_steps"], 2)
        self.assertEqual(given["schedule"], "step:every=0,at=[1;2],factor=0.5,minimum=0")

        averaged = report["final_averaged_evaluation"]
        self.assertEqual(averaged["samples"], report["final_evaluation"]["samples"])
        self.assertNotEqual(averaged["loss"], report["final_evaluation"]["loss"])
        self.assertEqual(report["epochs"][-1]["averaged_evaluation"], averaged)
        for epoch in report["epochs"]:
            self.assertIsNotNone(epoch["averaged_evaluation"])
        memory = report["memory"]
        self.assertTrue(memory["ledger"]["balanced"], memory["ledger"])
        self.assertEqual(memory["categories_at_peak"]["average"],
                         report["model"]["parameter_bytes"])

    def test_averaging_changes_nothing_but_its_own_figures(self):
        plain = self.train(*[word for word in self.WORDS if word not in ("--ema", "0.9")])
        averaged = self.train(*self.WORDS)
        self.assertEqual(averaged["step_losses"], plain["step_losses"])
        self.assertEqual(averaged["weights_checksum"], plain["weights_checksum"])
        self.assertEqual(averaged["final_evaluation"], plain["final_evaluation"])
        self.assertIsNone(plain["final_averaged_evaluation"])
        self.assertEqual(plain["memory"]["categories_at_peak"]["average"], 0)


@needs_programs
class Divergence(CommandTest):
    WORDS = [*TINY, "--epochs", "3", "--optimizer", "sgd:lr=1e6", "--schedule", "constant",
             "--precision", "fp32", "--quiet"]

    def diverge(self, *words):
        """Step that the sentence names."""
        path = self.folder / "x.json"
        done = self.fail_with(1, ["training diverged in step ", " of epoch 1, ",
                                  "at learning rate 1e+06: the loss is ", "; use a lower "],
                              "sbp-train", *self.WORDS, "-o", path, *words)
        self.assertFalse(path.exists())
        step = int(re.search(r"in step (\d+) of", done.stderr)[1])
        self.assertIn(step, range(2, 9), "not a step of epoch 1 after an update")
        return step, done.stderr

    def test_ends_with_a_sentence_and_without_a_report(self):
        _, said = self.diverge()
        self.assertNotIn("checkpoint", said)
        self.assertEqual(os.listdir(self.folder), [])

    def test_the_last_good_checkpoint_stays(self):
        folder = self.folder / "checkpoints"
        step, said = self.diverge("--checkpoint", folder, "--checkpoint-every-steps", "1")
        self.assertIn(f"; the checkpoint of step {step - 1} stays in '{folder}'", said)
        checkpoint = json.loads((folder / "checkpoint.json").read_text())
        self.assertEqual(checkpoint["step"], step - 1)
        self.assertEqual(len(checkpoint["report"]["step_losses"]), step - 1)
        self.assertTrue(all(loss is not None for loss in checkpoint["report"]["step_losses"]))
        # Whole and readable: going on from it diverges in the same step.
        again, _ = self.diverge("--checkpoint", folder, "--checkpoint-every-steps", "1",
                                "--resume")
        self.assertEqual(again, step)


if __name__ == "__main__":
    unittest.main()
