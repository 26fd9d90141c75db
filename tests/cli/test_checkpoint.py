"""Runs that are killed, interrupted, out of disk or misdirected, and go on as if nothing was."""

import json
import os
import pathlib
import resource
import signal
import struct
import subprocess
import time
import unittest
import zlib

from support import BIN, CommandTest, hears_ctrl_c, needs_programs

# A step takes a millisecond or two.
MODEL = "vit:image=8,patch=4,dim=8,depth=1,heads=2,classes=10"
TINY = ["--model", MODEL, "--data", "synthetic:samples=64", "--threads", "1", "--batch", "8",
        "--strategy", "sbp:keep=0.5,mask=random,layers=all", "--flip", "--crop-padding", "1"]
STEPS_PER_EPOCH = 8
SLOW = 20000  # steps that nobody waits for

OPTIMIZERS = ["sgd:lr=0.01", "sgd:lr=0.01,momentum=0.9", "adamw", "adam", "rmsprop", "adagrad",
              "adamw:loop=foreach"]


def tensors_of(path):
    """Name -> (dtype, shape, bytes) of a safetensors file."""
    content = pathlib.Path(path).read_bytes()
    length, = struct.unpack("<Q", content[:8])
    header = json.loads(content[8:8 + length])
    header.pop("__metadata__", None)
    data = content[8 + length:]
    return {name: (one["dtype"], one["shape"], data[slice(*one["data_offsets"])])
            for name, one in header.items()}


def write_tensors(path, tensors):
    header, data = {}, b""
    for name, (dtype, shape, content) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape,
                        "data_offsets": [len(data), len(data) + len(content)]}
        data += content
    text = json.dumps(header).encode()
    pathlib.Path(path).write_bytes(struct.pack("<Q", len(text)) + text + data)


def without_times(report):
    """What an interruption must not change."""
    timed = ("seconds", "data_wait_seconds", "samples_per_second", "resident_bytes")
    return {"epochs": [{key: value for key, value in epoch.items() if key not in timed}
                       for epoch in report["epochs"]],
            **{key: report[key] for key in ("steps", "step_losses", "final_evaluation",
                                            "weights_checksum", "plan", "strategy", "model")}}


class RunTest(CommandTest):
    def setUp(self):
        super().setUp()
        self.checkpoints = self.folder / "checkpoints"

    def train(self, *words):
        done = self.succeed("sbp-train", *TINY, "--json", "--quiet", *words)
        return self.assert_valid(done.stdout, "train")

    def here(self):
        return json.loads((self.checkpoints / "checkpoint.json").read_text())

    def steps_here(self):
        try:
            return self.here()["step"]
        except FileNotFoundError:
            return 0

    def start(self, *words):
        process = subprocess.Popen(
            [BIN / "sbp-train", *TINY, "--checkpoint", self.checkpoints, *map(str, words)],
            text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=hears_ctrl_c)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.kill)
        return process

    def stop_after(self, steps, signal_number, *words):
        """Starts a run and sends it a signal once a checkpoint of so many steps is there."""
        process = self.start(*words)
        until = time.monotonic() + 60
        while self.steps_here() < steps:
            self.assertIsNone(process.poll(), "the run ended before it could be stopped")
            self.assertLess(time.monotonic(), until)
            time.sleep(0.002)
        process.send_signal(signal_number)
        _, stderr = process.communicate(timeout=60)
        return process.returncode, stderr


@needs_programs
class Killed(RunTest):
    def check(self, optimizer, after, every):
        # A run that would take longer is killed somewhere, then asked for a length that lies ahead
        # of wherever that was.
        words = ["--optimizer", optimizer, "--schedule", "constant", "--evaluate-every", "3"]
        code, _ = self.stop_after(after, signal.SIGKILL, *words, "--steps", SLOW,
                                  "--checkpoint-every", 0, "--checkpoint-every-steps", every)
        self.assertEqual(code, -signal.SIGKILL)
        reached = self.steps_here()
        length = ["--steps", reached + 2 * STEPS_PER_EPOCH + 5]
        resumed = self.train(*words, *length, "--checkpoint", self.checkpoints, "--resume")
        self.assertEqual(resumed["resumed_from"], reached)
        whole = self.train(*words, *length)
        self.assertIsNone(whole["resumed_from"])
        self.assertEqual(without_times(resumed), without_times(whole))
        return resumed

    def test_each_optimizer_goes_on_as_if_it_had_not_been(self):
        for optimizer in OPTIMIZERS:
            with self.subTest(optimizer):
                self.checkpoints = self.folder / optimizer.replace(":", "_")
                self.check(optimizer, 11, 11)

    def test_killed_again_and_again(self):
        words = ["--schedule", "constant", "--steps"]
        often = ["--checkpoint", self.checkpoints, "--checkpoint-every-steps", 3]
        for after in (5, 20, 33, 41):
            resume = ["--resume"] if self.checkpoints.exists() else []
            self.stop_after(after, signal.SIGKILL, *often[2:], *words, SLOW, *resume)
            # Whatever it was doing: the checkpoint is whole, and names a file that is there.
            stored = self.here()["tensors"]
            self.assertEqual((self.checkpoints / stored["name"]).stat().st_size, stored["bytes"])
        length = self.steps_here() + 4
        resumed = self.train(*words, length, *often, "--resume")
        self.assertEqual(without_times(resumed), without_times(self.train(*words, length)))
        self.assertEqual(sorted(os.listdir(self.checkpoints)),
                         ["checkpoint.json", f"step-{length:08d}.safetensors"])

    def test_the_books_of_a_step_right_after_an_interruption(self):
        words = ["--schedule", "constant", "--steps"]
        self.train(*words, 2, "--no-profile-step", "--checkpoint", self.checkpoints)
        resumed = self.train(*words, 8, "--checkpoint", self.checkpoints, "--resume")
        whole = self.train(*words, 8)
        self.assertEqual(resumed["memory"], whole["memory"])
        self.assertEqual(resumed["weights_checksum"], whole["weights_checksum"])

    def test_steps_that_fp16_skipped_are_no_updates(self):
        words = ["--model", "resnet50:image=64,channels=3,classes=5,width=4", "--data",
                 "synthetic:samples=32", "--batch", 8, "--precision", "fp16", "--schedule",
                 "constant", "--threads", 1, "--evaluation-samples", 8, "--no-profile-step",
                 "--optimizer", "adamw:lr=0.01", "--ema", "0.9", "--quiet", "--json"]

        def trained(*more):
            return json.loads(self.succeed("sbp-train", *words, *more).stdout)

        folder = ["--checkpoint", self.checkpoints]
        self.assertIn("gradients overflowed", " ".join(trained("--epochs", 2, *folder)["warnings"]))
        resumed, whole = trained("--epochs", 3, *folder, "--resume"), trained("--epochs", 3)
        for key in ("step_losses", "weights_checksum", "final_averaged_evaluation"):
            self.assertEqual(resumed[key], whole[key])

    def test_at_the_end_of_an_epoch_with_a_schedule(self):
        words = ["--epochs", 4, "--checkpoint", self.checkpoints]
        whole = self.train(*words)
        self.assertEqual(self.here()["step"], 32)
        again = self.train(*words, "--resume")
        self.assertEqual(again["resumed_from"], 32)
        self.assertEqual(without_times(again), without_times(whole))

    def test_what_a_killed_writer_left_is_removed(self):
        self.train("--epochs", 1, "--checkpoint", self.checkpoints)
        for name in (".sbp-checkpoint-77.part", "step-00000099.safetensors"):
            (self.checkpoints / name).write_text("half")
        (self.checkpoints / "step-notes.safetensors").write_text("mine")
        self.train("--epochs", 2, "--checkpoint", self.checkpoints, "--resume")
        self.assertEqual(sorted(os.listdir(self.checkpoints)),
                         ["checkpoint.json", "step-00000016.safetensors",
                          "step-notes.safetensors"])


@needs_programs
class Interrupted(RunTest):
    def test_each_signal_leaves_a_checkpoint_of_the_step_in_hand(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(number):
                self.checkpoints = self.folder / str(number)
                words = ["--schedule", "constant", "--evaluate-every", "2", "--steps"]
                code, stderr = self.stop_after(STEPS_PER_EPOCH, number, *words, SLOW)
                self.assertEqual(code, 130, stderr)
                reached = self.steps_here()
                self.assertIn(f"checkpoint of step {reached} is in '{self.checkpoints}'", stderr)
                self.assertIn("--resume", stderr)
                length = reached + 11
                resumed = self.train(*words, length, "--checkpoint", self.checkpoints, "--resume")
                self.assertEqual(resumed["resumed_from"], reached)
                self.assertEqual(without_times(resumed),
                                 without_times(self.train(*words, length)))

    def test_a_longer_training_is_the_one_that_was_long_from_the_start(self):
        words = ["--schedule", "constant", "--checkpoint", self.checkpoints, "--steps"]
        self.train(*words, 13)
        longer = self.train(*words, 21, "--resume")
        self.assertIn("steps '21', not '13'", " ".join(longer["warnings"]))
        self.assertEqual(without_times(longer),
                         without_times(self.train("--schedule", "constant", "--steps", 21)))
        self.fail_with(2, ["step '21'", "'20' steps"], "sbp-train", *TINY, *words, 20, "--resume")


@needs_programs
class Refused(RunTest):
    WORDS = ["--epochs", "1"]

    def setUp(self):
        super().setUp()
        self.own = ["--checkpoint", self.checkpoints, *self.WORDS]

    def refuse(self, code, parts, *words):
        return self.fail_with(code, parts, "sbp-train", *TINY, "--quiet", *words)

    def test_folders(self):
        self.refuse(2, ["--resume needs --checkpoint"], *self.WORDS, "--resume")
        self.refuse(2, ["there is no folder"], *self.own[2:], "--resume", "--checkpoint",
                    self.folder / "a" / "b")
        self.refuse(2, ["there is no folder"], "--checkpoint", self.folder / "a" / "b")
        (self.folder / "file").write_text("")
        self.refuse(2, ["is a file"], "--checkpoint", self.folder / "file")

    def test_another_runs_checkpoint(self):
        self.train(*self.own)
        before = self.here()
        self.refuse(2, ["holds the checkpoint of a run", "--resume", "--force"], *self.own)
        self.assertEqual(self.here(), before)
        self.train(*self.own, "--keep-checkpoints", 5, "--seed", 9, "--force",
                   "--checkpoint-every-steps", 3)
        self.assertEqual(self.here()["report"]["configuration"]["seed"], 9)
        self.assertEqual(sorted(os.listdir(self.checkpoints)),
                         ["checkpoint.json", *(f"step-{step:08d}.safetensors"
                                               for step in (3, 6, 8))])

    def test_options_of_checkpoints_without_a_folder(self):
        for words in (["--checkpoint-every", 2], ["--keep-checkpoints", 3],
                      ["--checkpoint-every-steps", 5]):
            self.fail_with(2, ["--checkpoint DIR"], "sbp-train", *TINY, "--steps", 1, *words)

    def test_another_configuration(self):
        self.train(*self.own)
        for words, parts in [(["--seed", "4"], ["seed", "'4'", "'0'"]),
                             (["--optimizer", "sgd"], ["optimizer", "'sgd:", "'adamw:"]),
                             (["--label-smoothing", "0.1"], ["label_smoothing", "'0'", "'0.1"])]:
            self.refuse(2, ["cannot resume", *parts], *self.own, "--resume", *words)
        other_threads = [word for word in TINY]
        other_threads[other_threads.index("--threads") + 1] = "2"
        done = self.succeed("sbp-train", *other_threads, *self.own, "--resume", "--json", "--quiet")
        self.assertIn("threads '2', not '1'", " ".join(json.loads(done.stdout)["warnings"]))

    def test_without_a_checkpoint_it_starts_at_the_beginning_and_says_so(self):
        done = self.succeed("sbp-train", *TINY, *self.own, "--resume", "--json")
        self.assertIn(f"no checkpoint in '{self.checkpoints}' yet", done.stderr)
        self.assertIsNone(json.loads(done.stdout)["resumed_from"])

    def test_the_same_command_again_and_again(self):
        report = self.folder / "report.json"
        for _ in range(3):
            self.succeed("sbp-train", *TINY, *self.own, "--resume", "-o", report, "--quiet")
            self.assertEqual(json.loads(report.read_text())["steps"], STEPS_PER_EPOCH)

    def test_a_folder_in_use(self):
        process = self.start("--steps", SLOW)
        while not self.checkpoints.exists():
            time.sleep(0.002)
        time.sleep(0.05)
        self.refuse(1, ["in use by another run"], *self.own, "--resume")
        process.kill()
        process.communicate(timeout=60)

    def test_damage(self):
        self.train(*self.own)
        json_path = self.checkpoints / "checkpoint.json"
        tensors = self.checkpoints / "step-00000008.safetensors"
        good_json, good = json_path.read_text(), tensors.read_bytes()
        resume = [*self.own, "--resume"]

        json_path.write_text(good_json[:200])
        self.refuse(1, [f"'{json_path}'", "truncated"], *resume)
        json_path.write_text(good_json.replace("step-00000008", "../step-00000008"))
        self.refuse(1, ["is not one of this folder"], *resume)
        json_path.write_text(good_json)

        tensors.write_bytes(good[:-1])
        self.refuse(1, [f"'{tensors}'"], *resume)
        flipped = bytearray(good)
        flipped[-5] ^= 1
        tensors.write_bytes(flipped)
        self.refuse(1, [f"'{tensors}'", "crc32", "was written with"], *resume)
        tensors.unlink()
        self.refuse(1, [f"'{tensors}'", "No such file"], *resume)
        tensors.write_bytes(good)
        self.train(*resume)

    def test_tensors_of_another_model_behind_a_checkpoint_that_fits(self):
        self.train(*self.own)
        tensors = self.checkpoints / "step-00000008.safetensors"
        stored = tensors_of(tensors)

        def resume_with(changed, parts):
            write_tensors(tensors, changed)
            text = self.here()
            content = tensors.read_bytes()
            text["tensors"].update(bytes=len(content),
                                   checksum=f"crc32:{zlib.crc32(content):08x}")
            (self.checkpoints / "checkpoint.json").write_text(json.dumps(text))
            self.refuse(1, parts, *self.own, "--resume")

        missing = {name: tensor for name, tensor in stored.items() if name != "head.bias"}
        resume_with(missing, ["has no tensor 'head.bias'"])
        dtype, _, content = stored["head.bias"]
        resume_with({**stored, "head.bias": (dtype, [2, 5], content)}, ["'head.bias'", "[2, 5]"])
        half = {name: tensor for name, tensor in stored.items()
                if name != "optimizer/exp_avg/head.bias"}
        resume_with(half, ["head.bias"])
        resume_with({**stored, "extra": stored["head.bias"]}, ["'extra'"])


@needs_programs
class Broken(RunTest):
    def test_a_full_disk_keeps_the_checkpoint_before(self):
        self.train("--epochs", 1, "--checkpoint", self.checkpoints)
        before = {path.name: path.read_bytes() for path in self.checkpoints.iterdir()}

        def limit():
            resource.setrlimit(resource.RLIMIT_FSIZE, (9000, resource.RLIM_INFINITY))

        self.fail_with(1, ["step-00000016.safetensors'", "File too large"], "sbp-train", *TINY,
                       "--quiet", "--epochs", "2", "--checkpoint", self.checkpoints, "--resume",
                       preexec_fn=limit)
        self.assertEqual({path.name: path.read_bytes() for path in self.checkpoints.iterdir()},
                         before)

    def test_a_loss_that_is_not_finite_keeps_the_checkpoint_before(self):
        words = ["--optimizer", "sgd:lr=1e6", "--steps", "400", "--schedule", "constant"]
        done = subprocess.run([BIN / "sbp-train", *TINY, "--quiet", *words, "--checkpoint",
                               self.checkpoints, "--checkpoint-every-steps", "1"],
                              capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("diverged", done.stderr)
        here = self.here()
        self.assertEqual(len(here["report"]["step_losses"]), here["step"])
        for name, (dtype, _, content) in tensors_of(
                self.checkpoints / here["tensors"]["name"]).items():
            if dtype == "F32" and not name.startswith("optimizer/"):
                values = struct.unpack(f"<{len(content) // 4}f", content)
                self.assertTrue(all(abs(value) < float("inf") for value in values), name)


@needs_programs
class Weights(RunTest):
    def weights(self):
        """The tensors of a short training, without its bookkeeping."""
        self.train("--epochs", 1, "--checkpoint", self.checkpoints)
        stored = tensors_of(self.checkpoints / "step-00000008.safetensors")
        return {name: one for name, one in stored.items() if "/" not in name}

    def test_the_reference_package_reads_a_checkpoint(self):
        try:
            from safetensors import safe_open
            import numpy
        except ImportError as error:
            self.skipTest(f"the Python package is not installed: {error}")
        self.train("--epochs", 1, "--checkpoint", self.checkpoints)
        path = self.checkpoints / "step-00000008.safetensors"
        own = tensors_of(path)
        with safe_open(path, framework="numpy") as opened:
            self.assertEqual(set(opened.keys()), set(own))
            self.assertEqual(opened.metadata(), {"format": "pt"})
            for name, (_, shape, content) in own.items():
                tensor = opened.get_tensor(name)
                self.assertEqual(list(tensor.shape), shape)
                self.assertEqual(tensor.astype(numpy.float32).tobytes(), content)

    def test_evaluation_alone_is_that_of_the_training(self):
        trained = self.train("--epochs", 1, "--checkpoint", self.checkpoints)
        file = self.checkpoints / "step-00000008.safetensors"
        for words in [["--checkpoint", self.checkpoints], ["--init", self.checkpoints],
                      ["--init", file]]:
            report = self.train("--evaluate", *words)
            self.assertEqual(report["final_evaluation"], trained["final_evaluation"])
            self.assertEqual(report["weights_checksum"], trained["weights_checksum"])
            self.assertEqual((report["steps"], report["epochs"]), (0, []))
            self.assertEqual(report["warnings"], [])
        for words in [[], ["--init", file, "--checkpoint", self.checkpoints]]:
            self.fail_with(2, ["--evaluate"], "sbp-train", *TINY, "--evaluate", *words)
        self.fail_with(2, ["--resume"], "sbp-train", *TINY, "--evaluate", "--checkpoint",
                       self.checkpoints, "--resume")

    def test_averages_start_from_the_weights_given_and_are_evaluated(self):
        self.train("--epochs", 1, "--checkpoint", self.checkpoints)
        still = self.train("--init", self.checkpoints, "--ema", "0.999", "--optimizer", "sgd:lr=0",
                           "--epochs", 1)
        self.assertEqual(still["final_averaged_evaluation"], still["final_evaluation"])
        averaged = self.folder / "averaged"
        trained = self.train("--epochs", 2, "--ema", "0.5", "--checkpoint", averaged)
        self.assertNotEqual(trained["final_averaged_evaluation"], trained["final_evaluation"])
        evaluated = self.train("--evaluate", "--checkpoint", averaged, "--ema", "0.5")
        self.assertEqual(evaluated["final_averaged_evaluation"],
                         trained["final_averaged_evaluation"])
        self.assertEqual(evaluated["configuration"]["evaluated"], str(averaged))
        plain = self.train("--evaluate", "--checkpoint", averaged)
        self.assertIsNone(plain["final_averaged_evaluation"])
        self.assertIn("--ema", " ".join(plain["warnings"]))

    def test_what_does_not_fit_is_told(self):
        weights = self.weights()
        dtype, shape, content = weights["head.weight"]
        weights["head.weight"] = (dtype, [20, shape[1]], content * 2)
        weights["head.bias"] = (dtype, [20], weights["head.bias"][2] * 2)
        weights["fc_norm.weight"] = weights.pop("norm.weight")
        path = self.folder / "other.safetensors"
        write_tensors(path, weights)
        words = [*TINY, "--steps", "1", "--init", path]
        report = self.assert_valid(self.succeed("sbp-train", *words, "--json", "--quiet").stdout,
                                   "train")
        told = "\n".join(report["warnings"])
        for part in ["reset 'head.weight': it is [20, 8] in the file and [10, 8]", "'head.bias'",
                     "not used: 'fc_norm.weight'", "initial values: 'norm.weight'"]:
            self.assertIn(part, told)
            self.assertIn(part, self.succeed("sbp-train", *words).stderr)

    def test_files_that_are_no_weights_of_the_model(self):
        path = self.folder / "x.safetensors"
        write_tensors(path, {"layer1.0.conv1.weight": ("F32", [1], b"\0\0\0\0")})
        self.fail_with(1, [f"'{path}'", "none of its 1 tensors", "'layer1.0.conv1.weight'",
                           "'cls_token'"], "sbp-train", *TINY, "--init", path)
        path.write_bytes(b"\xff" * 20)
        self.fail_with(1, [f"'{path}'"], "sbp-train", *TINY, "--init", path)
        self.fail_with(1, ["No such file"], "sbp-train", *TINY, "--init", self.folder / "none")
        weights = self.weights()
        dtype, shape, content = weights["norm.bias"]
        weights["norm.bias"] = (dtype, shape, b"\0\0\xc0\x7f" + content[4:])
        write_tensors(path, weights)
        self.fail_with(1, ["'norm.bias'", "not finite"], "sbp-train", *TINY, "--init", path)


@needs_programs
class TensorBoard(RunTest):
    def records(self, path):
        content, found = path.read_bytes(), []
        while content:
            length, = struct.unpack("<Q", content[:8])
            found.append(content[12:12 + length])
            content = content[16 + length:]
        return found

    def test_every_run_writes_a_file(self):
        board = self.folder / "board"
        words = ["--epochs", 1, "--checkpoint", self.checkpoints, "--tensorboard", board]
        self.train(*words)
        file, = board.iterdir()
        records = self.records(file)
        # The version, a record a step, one of memory, one of the epoch.
        self.assertEqual(len(records), 1 + STEPS_PER_EPOCH + 1 + 1)
        for tag in (b"train/loss", b"train/learning_rate", b"epoch/samples_per_second",
                    b"epoch/data_wait_seconds", b"test/top1", b"memory/peak_bytes",
                    b"memory/resident_bytes"):
            self.assertTrue(any(tag in record for record in records), tag)
        words[1] = 2
        self.train(*words, "--resume")
        self.assertEqual(len(list(board.iterdir())), 2)
        for path, part in ((self.folder / "a" / "b", "there is no folder"),
                           (file, "that is a file")):
            self.fail_with(2, [part], "sbp-train", *TINY, "--steps", "1", "--tensorboard", path)

    def test_averaged_figures_are_in_it(self):
        board = self.folder / "board"
        self.train("--epochs", 1, "--ema", "0.9", "--tensorboard", board)
        file, = board.iterdir()
        self.assertTrue(any(b"test_averaged/top1" in record for record in self.records(file)))


if __name__ == "__main__":
    unittest.main()
