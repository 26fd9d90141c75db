import json
import signal
import subprocess
import unittest

from support import BIN, CommandTest, TINY, hears_ctrl_c, needs_programs

FAST = {"--batch": "4", "--at": "2", "--masks": "2"}


def with_fast(words):
    """`words`, and what makes a run short where they say nothing of it."""
    defaults = [word for pair in FAST.items() if pair[0] not in words for word in pair]
    return [*TINY, *defaults, *words]


@needs_programs
class Correlate(CommandTest):
    def correlate(self, *words):
        done = self.succeed("sbp-correlate", *with_fast(words), "--json", "--quiet")
        self.assertEqual(done.stderr, "")
        return self.assert_valid(done.stdout, "correlate")

    def test_reports_follow_the_schema(self):
        for words in [["--strategy", "full"], ["--strategy", "sbp", "--no-local"],
                      ["--strategy", "sbp:attention=qkv", "--batches", "1", "--masks", "1"],
                      ["--strategy", "dropit", "--precision", "bf16"],
                      ["--strategy", "sbp+dropit", "--clip-norm", "1", "--at", "3",
                       "--accumulate", "2"],
                      ["--strategy", "recompute", "--batch", "1", "--optimizer", "sgd"]]:
            with self.subTest(words=words):
                self.correlate(*words)

    def test_exact_strategies_agree_exactly(self):
        report = self.correlate("--strategy", "full", "--strategy", "sbp:keep=1")
        for strategy in report["fidelity"]["strategies"]:
            for key, value in [("cosine", 1), ("relative_error", 0), ("norm_ratio", 1),
                               ("sign_agreement", 1), ("update_cosine", 1)]:
                self.assertEqual(strategy[key], value, (strategy["spec"], key))
            for layer in strategy["layers"]:
                self.assertEqual(layer["cosine"], 1)
                self.assertEqual(layer["local_cosine"], 1)
            for parameter in strategy["parameters"]:
                self.assertEqual(parameter["cosine"], 1)

    def test_what_scripts_rely_on(self):
        asked = ["sbp:keep=0.5,layers=all", "dropit:gamma=0.9", "sbp:keep=0.25,layers=all", "full"]
        report = self.correlate(*[word for spec in asked for word in ("--strategy", spec)])
        self.assertEqual([s["name"] for s in report["fidelity"]["strategies"]], asked)
        baselines = {b["name"]: b for b in report["fidelity"]["baselines"]}
        self.assertEqual(set(baselines), {"half_batch", "other_batch"})
        self.assertGreater(baselines["half_batch"]["cosine"], baselines["other_batch"]["cosine"])
        half, coded, quarter, full = report["fidelity"]["strategies"]
        self.assertGreater(half["cosine"], quarter["cosine"])
        self.assertLess(quarter["saved_distinct_bytes"], half["saved_distinct_bytes"])
        self.assertLess(half["saved_distinct_bytes"], full["saved_distinct_bytes"])
        self.assertEqual(coded["scoring"], "one_pass")
        self.assertEqual(half["scoring"], "passes")
        self.assertEqual(coded["noise"]["masks"], 1)
        self.assertEqual(coded["noise"]["variance"], 0)
        # Codes of weight gradients leave every layer in exact surroundings.
        for layer in coded["layers"]:
            self.assertEqual(layer["cosine"], layer["local_cosine"], layer["name"])
        self.assertEqual(report["state"]["steps"], 2)
        self.assertEqual(report["configuration"]["strategies"].count(" | "), 3)

    def test_layers_and_parameters_cover_the_model(self):
        report = self.correlate("--strategy", "sbp")
        strategy = report["fidelity"]["strategies"][0]
        count = report["model"]["parameter_count"]
        self.assertEqual(sum(layer["elements"] for layer in strategy["layers"]), count)
        self.assertEqual(sum(p["elements"] for p in strategy["parameters"]), count)
        cosines = [layer["cosine"] for layer in strategy["layers"]]
        spread = strategy["over_layers"]["cosine"]
        self.assertAlmostEqual(spread["mean"], sum(cosines) / len(cosines), places=12)
        self.assertEqual(spread["minimum"], min(cosines))
        weakest = strategy["layers"][cosines.index(min(cosines))]["name"]
        self.assertEqual(spread["minimum_layer"], weakest)

    def test_bytes_are_those_of_a_profile(self):
        report = self.correlate("--strategy", "sbp")
        profile = json.loads(self.succeed(
            "sbp-profile", *TINY, "--batch", "4", "--device", "meta", "--json", "--quiet",
            "--strategy", "sbp").stdout)
        strategy = report["fidelity"]["strategies"][0]
        self.assertEqual(strategy["peak_bytes"], profile["memory"]["peak_bytes"])
        self.assertEqual(strategy["saved_distinct_bytes"],
                         profile["memory"]["saved"]["distinct_bytes"])

    def test_accumulated_training_reads_other_batches(self):
        one, two = (self.correlate("--strategy", "full", "--accumulate", n) for n in ("1", "2"))
        self.assertNotEqual(one["state"]["loss"], two["state"]["loss"])

    def test_the_same_command_gives_the_same_figures(self):
        words = ["--strategy", "sbp:mask=random", "--strategy", "dropit:select=random"]
        first, second = self.correlate(*words), self.correlate(*words)
        self.assertEqual(first["fidelity"], second["fidelity"])

    def test_a_checkpoint_is_the_state_that_training_left(self):
        folder = self.folder / "run"
        self.succeed("sbp-train", *TINY, "--batch", "4", "--steps", "3", "--schedule", "constant",
                     "--checkpoint", folder, "--quiet")
        words = ["--strategy", "sbp", "--masks", "2", "--batch", "4", "--json", "--quiet"]
        trained = json.loads(self.succeed("sbp-correlate", *TINY, *words, "--at", "3").stdout)
        loaded = json.loads(self.succeed("sbp-correlate", *TINY, *words,
                                         "--checkpoint", folder).stdout)
        self.assertEqual(loaded["state"]["steps"], 3)
        self.assertEqual(loaded["state"]["loss"], trained["state"]["loss"])
        self.assertEqual(loaded["fidelity"], trained["fidelity"])

    def test_bad_input(self):
        for parts, words in [
                (["no strategy", "--strategy"], []),
                (["'meta'"], ["--strategy", "sbp", "--device", "meta"]),
                (["'fp16'", "bf16"], ["--strategy", "sbp", "--precision", "fp16"]),
                (["'sbp'", "'sbp:keep=0.5'", "one"],
                 ["--strategy", "sbp", "--strategy", "sbp:keep=0.5"]),
                (["unknown", "'sbq'"], ["--strategy", "sbp", "--strategy", "sbq"]),
                (["--masks", "'0'"], ["--strategy", "sbp", "--masks", "0"]),
                (["--at", "'-1'"], ["--strategy", "sbp", "--at", "-1"]),
                (["'20'", "--batch"], ["--strategy", "sbp", "--batch", "20"]),
                (["--init", "--checkpoint"],
                 ["--strategy", "sbp", "--init", "a", "--checkpoint", "b"])]:
            with self.subTest(words=words):
                self.fail_with(2, parts, "sbp-correlate", *TINY, *words)
        self.fail_with(1, ["none"], "sbp-correlate", *TINY, "--strategy", "sbp",
                       "--checkpoint", self.folder / "none")

    def test_ctrl_c_keeps_what_is_done(self):
        path = self.folder / "report.json"
        process = subprocess.Popen(
            [str(BIN / "sbp-correlate"), *TINY, "--at", "0", "--strategy", "full", "--strategy",
             "sbp:mask=random", "--masks", "10000", "-o", str(path)], preexec_fn=hears_ctrl_c,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.kill)
        try:
            process.communicate(timeout=3)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
        self.assertEqual(process.returncode, 130)
        report = self.assert_valid(path.read_text(), "correlate")
        self.assertTrue(report["interrupted"])
        self.assertEqual([s["name"] for s in report["fidelity"]["strategies"]], ["full"])
        self.assertTrue(any("1 of 2" in warning for warning in report["warnings"]))


@needs_programs
class FidelityOfTraining(CommandTest):
    def train(self, *words):
        done = self.succeed("sbp-train", *TINY, "--batch", "4", "--steps", "5", "--strategy",
                            "sbp:mask=random,layers=all", "--json", "--quiet", *words)
        return self.assert_valid(done.stdout, "train")

    def test_it_looks_and_changes_nothing(self):
        plain, watched = self.train(), self.train("--fidelity-every", "2")
        for key in ["weights_checksum", "step_losses", "memory"]:
            self.assertEqual(plain[key], watched[key], key)
        self.assertEqual(plain["fidelity"], [])
        self.assertEqual([point["step"] for point in watched["fidelity"]], [0, 2, 4])
        for point in watched["fidelity"]:
            self.assertLess(point["cosine"], 1)
            self.assertGreater(point["cosine"], 0)
            self.assertLessEqual(point["layer_cosine"]["minimum"], point["layer_cosine"]["mean"])

    def test_fp16_is_refused(self):
        self.fail_with(2, ["'fp16'", "--fidelity-every"], "sbp-train", *TINY, "--precision", "fp16",
                       "--fidelity-every", "2")

    def test_a_run_that_diverges_says_so(self):
        self.fail_with(1, ["diverged", "learning rate"], "sbp-train", *TINY, "--batch", "4",
                       "--optimizer", "sgd:lr=1e6", "--steps", "20", "--fidelity-every", "1",
                       "--quiet")

    def test_a_full_gradient_is_exact(self):
        done = self.succeed("sbp-train", *TINY, "--batch", "4", "--steps", "2", "--accumulate", "2",
                            "--fidelity-every", "1", "--json", "--quiet")
        for point in json.loads(done.stdout)["fidelity"]:
            self.assertEqual(point["cosine"], 1)
            self.assertEqual(point["relative_error"], 0)

    def test_it_goes_on_after_a_checkpoint(self):
        words = ["--fidelity-every", "2", "--checkpoint", self.folder / "run",
                 "--checkpoint-every-steps", "2"]
        whole = self.train("--fidelity-every", "2")
        self.train(*words)
        resumed = self.train(*words, "--resume")
        self.assertEqual(resumed["fidelity"], whole["fidelity"])


if __name__ == "__main__":
    unittest.main()
