import os
import pty
import signal
import subprocess
import unittest

from support import BIN, CommandTest, TINY, hears_ctrl_c, needs_programs

SHORT = [*TINY, "--batch", "8", "--epochs", "2"]
# Never ends on its own within the test; an epoch takes a moment.
ENDLESS = [*TINY, "--batch", "8", "--steps", "100000000"]


@needs_programs
class Train(CommandTest):
    def train(self, *words):
        done = self.succeed("sbp-train", *SHORT, "--json", "--quiet", *words)
        self.assertEqual(done.stderr, "")
        return self.assert_valid(done.stdout, "train")

    def test_reports_follow_the_schema(self):
        for words in [[], ["--strategy", "sbp:keep=0.5"], ["--evaluate-every", "0"],
                      ["--no-profile-step"], ["--flip", "--crop-padding", "2"],
                      ["--schedule", "constant", "--label-smoothing", "0.1"],
                      ["--optimizer", "sgd:lr=0.01", "--warmup-steps", "2"]]:
            with self.subTest(words=words):
                report = self.train(*words)
                self.assertEqual(report["steps"], 8)
                self.assertEqual(len(report["step_losses"]), 8)
                self.assertEqual([epoch["epoch"] for epoch in report["epochs"]], [1, 2])
                self.assertFalse(report["interrupted"])

    def test_steps_end_in_the_middle_of_an_epoch(self):
        done = self.succeed("sbp-train", *TINY, "--batch", "8", "--steps", "5", "--json")
        report = self.assert_valid(done.stdout, "train")
        self.assertEqual(report["steps"], 5)
        self.assertIsNotNone(report["final_evaluation"])

    def test_the_memory_of_a_step(self):
        memory = self.train()["memory"]
        self.assertTrue(memory["ledger"]["balanced"], memory["ledger"])
        self.assertEqual(sum(memory["categories_at_peak"].values()), memory["peak_bytes"])
        self.assertIsNone(self.train("--no-profile-step")["memory"])

    def test_the_same_seed_gives_the_same_losses(self):
        words = ["--strategy", "sbp:keep=0.5,mask=random", "--flip"]
        first = self.train(*words, "--seed", "5")
        again = self.train(*words, "--seed", "5")
        other = self.train(*words, "--seed", "6")
        self.assertEqual(again["step_losses"], first["step_losses"])
        self.assertEqual(again["final_evaluation"], first["final_evaluation"])
        self.assertNotEqual(other["step_losses"], first["step_losses"])

    def test_text_and_epoch_lines(self):
        done = self.succeed("sbp-train", *SHORT)
        self.assertTrue(done.stdout.startswith("training run"))
        self.assertIn("top-1", done.stdout)
        lines = done.stderr.splitlines()
        self.assertEqual(len(lines), 2, done.stderr)
        self.assertIn("1", lines[0])
        self.assertNotIn("\r", done.stderr)
        self.assertNotIn("\x1b", done.stdout + done.stderr)
        self.assertEqual(self.succeed("sbp-train", *SHORT, "--quiet").stderr, "")

    def test_stdout_and_file_are_the_same(self):
        path = self.folder / "x.json"
        done = self.succeed("sbp-train", *SHORT, "--json", "--output", path)
        self.assertEqual(done.stdout, path.read_text())


@needs_programs
class Interrupt(CommandTest):
    def start(self, *words, **options):
        process = subprocess.Popen([BIN / "sbp-train", *ENDLESS, *map(str, words)], text=True,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   **{"preexec_fn": hears_ctrl_c, **options})
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.kill)
        self.assertNotEqual(process.stderr.readline(), "", "no epoch line")
        return process

    def test_ctrl_c_leaves_a_valid_report(self):
        path = self.folder / "x.json"
        process = self.start("-o", path)
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 130, stderr)
        report = self.assert_valid(path.read_text(), "train")
        self.assertTrue(report["interrupted"])
        self.assertGreater(report["steps"], 0)
        self.assertEqual(len(report["step_losses"]), report["steps"])
        self.assertIn("interrupted after", stdout)
        self.assertEqual(os.listdir(self.folder), ["x.json"])
        self.assertIn("interrupted after", self.succeed("sbp-report", path).stdout)

    def test_a_kill_leaves_nothing(self):
        process = self.start("-o", self.folder / "x.json")
        process.kill()
        process.communicate(timeout=60)
        self.assertEqual(os.listdir(self.folder), [])


@needs_programs
class Terminal(CommandTest):
    def stderr_on_terminal(self, **environment):
        controller, terminal = pty.openpty()
        process = subprocess.Popen([BIN / "sbp-train", *SHORT], stdout=subprocess.DEVNULL,
                                   stderr=terminal, env={**os.environ, **environment})
        os.close(terminal)
        said = b""
        try:
            while chunk := os.read(controller, 4096):
                said += chunk
        except OSError:  # the other end is closed
            pass
        os.close(controller)
        self.assertEqual(process.wait(timeout=60), 0)
        return said.decode()

    def test_progress_is_shown_on_a_terminal(self):
        said = self.stderr_on_terminal(TERM="xterm")
        self.assertIn("\r\x1b[K", said)
        self.assertIn(" of 8 ", said)

    def test_a_dumb_terminal_gets_plain_lines(self):
        said = self.stderr_on_terminal(TERM="dumb")
        self.assertNotIn("\x1b", said)
        self.assertEqual(said.count("\n"), 2, said)


if __name__ == "__main__":
    unittest.main()
