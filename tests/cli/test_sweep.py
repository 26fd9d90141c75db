"""sbp-sweep as a program: it goes on after any kill, and nothing of it outlives it."""

import json
import os
import pathlib
import random
import resource
import signal
import subprocess
import tempfile
import time
import unittest

from support import BIN, MODEL, CommandTest, hears_ctrl_c, needs_programs, run

# About half a second a point, most of it the start of a process.
BASE = ["--model", MODEL, "--data", "synthetic:samples=32", "--steps", 2, "--evaluation-samples", 4]
STRATEGIES = ["--axis", "strategy=full|sbp", "--axis", "strategy.sbp.keep=0.25|0.5"]
SEEDS = ["--axis", "seed=1|2"]
SMALL = [*BASE, *STRATEGIES, *SEEDS]  # 6 points
# Figures that differ from run to run.
TIMES = {"seconds", "samples_per_second", "step_seconds"}


def start(*arguments, **options):
    options.setdefault("stdout", subprocess.PIPE)
    options.setdefault("stderr", subprocess.PIPE)
    return subprocess.Popen([str(BIN / "sbp-sweep"), *map(str, arguments)], text=True,
                            preexec_fn=hears_ctrl_c, **options)


def children_of(pid):
    """Processes that `pid` started and that have not ended."""
    found = []
    for folder in pathlib.Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            words = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(words[1]) == pid and words[0] != "Z":
            found.append(int(folder.name))
    return found


def is_alive(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.01)
    raise AssertionError("waited in vain")


def table(folder):
    """What a sweep's report says of its points, times apart."""
    report = json.loads((folder / "sweep.json").read_text())
    points = []
    for point in report["points"]:
        figures = {name: value for name, value in point["figures"].items() if name not in TIMES}
        points.append((point["id"], point["axes"], point["status"], point["reason"],
                       point["estimated_bytes"], figures))
    return points


def damaged_files(folder):
    """Files of results that are not whole JSON."""
    found = []
    for file in [*folder.glob("points/*"), *folder.glob("failures/*"), *folder.glob("*.json")]:
        try:
            json.loads(file.read_text())
        except ValueError:
            if file.suffix == ".json":
                found.append(file)
    return found


@needs_programs
class Sweep(CommandTest):
    def setUp(self):
        super().setUp()
        self.out = self.folder / "out"

    def report(self):
        return self.assert_valid((self.out / "sweep.json").read_text(), "sweep")

    def statuses(self):
        return [point["status"] for point in self.report()["points"]]

    def test_every_combination_is_run_once(self):
        done = self.succeed("sbp-sweep", *SMALL, "-o", self.out, "--jobs", 2)
        self.assertIn("6: 6 finished", done.stdout)
        self.assertEqual(done.stderr.count("finished "), 6)
        report = self.report()
        self.assertEqual(report["command"], "train")
        self.assertEqual([axis["name"] for axis in report["axes"]],
                         ["strategy", "strategy.sbp.keep", "seed"])
        axes = [tuple(point["axes"][axis["name"]] for axis in report["axes"])
                for point in report["points"]]
        self.assertEqual(axes, [("full", None, "1"), ("full", None, "2"), ("sbp", "0.25", "1"),
                                ("sbp", "0.25", "2"), ("sbp", "0.5", "1"), ("sbp", "0.5", "2")])
        self.assertEqual(report["warnings"], [])
        for point in report["points"]:
            own = self.assert_valid((self.out / point["file"]).read_text(), "train")
            self.assertEqual(own["configuration"]["seed"], int(point["axes"]["seed"]))
            figures = point["figures"]
            self.assertEqual(figures["peak_bytes"], own["memory"]["peak_bytes"])
            self.assertEqual(figures["top1"], own["final_evaluation"]["top1"])
            self.assertEqual(figures["train_loss"], own["epochs"][-1]["train_loss"])
            self.assertEqual(figures["effective_keep_ratio"],
                             own["strategy"]["effective_keep_ratio"])
        self.assertEqual(len({point["figures"]["peak_bytes"] for point in report["points"]}), 3)

        # The same command has nothing to do, whatever the number of jobs.
        before = {file: file.stat().st_mtime_ns for file in self.out.glob("points/*")}
        again = self.succeed("sbp-sweep", *SMALL, "-o", self.out, "--jobs", 2)
        self.assertEqual(again.stderr, "")
        self.assertEqual({file: file.stat().st_mtime_ns for file in self.out.glob("points/*")},
                         before)
        self.assertEqual(self.report()["points"], report["points"])
        self.assertIn("6: 6 finished", self.succeed("sbp-report", self.out / "sweep.json").stdout)

    def test_a_point_is_what_its_command_alone_gives(self):
        self.succeed("sbp-sweep", *BASE, "--threads", 1, "--axis", "strategy=sbp:keep=0.5",
                     "--axis", "seed=3", "-o", self.out, "--quiet")
        alone = json.loads(self.succeed(
            "sbp-train", *BASE, "--threads", 1, "--strategy", "sbp:keep=0.5", "--seed", 3,
            "--json", "--quiet").stdout)
        point = json.loads(next(self.out.glob("points/*.json")).read_text())
        self.assertEqual(point["step_losses"], alone["step_losses"])
        self.assertEqual(point["weights_checksum"], alone["weights_checksum"])
        self.assertEqual(point["memory"], alone["memory"])

    def test_profiles_are_swept_too(self):
        done = self.succeed("sbp-sweep", "--command", "profile", "--model", MODEL, "--device",
                            "meta", "--axis", "batch=4|8", "--axis", "strategy=full|dropit", "-o",
                            self.out, "--json", "--quiet")
        report = self.assert_valid(done.stdout, "sweep")
        self.assertEqual([point["figures"]["batch"] for point in report["points"]], [4, 4, 8, 8])
        for point in report["points"]:
            self.assert_valid((self.out / point["file"]).read_text(), "profile")
            self.assertNotIn("top1", point["figures"])

    def test_list_runs_nothing(self):
        done = self.succeed("sbp-sweep", *SMALL, "-o", self.out, "--list")
        self.assertFalse(self.out.exists())
        self.assertIn("6 points: 0 finished, 6 to run, about ", done.stdout)
        lines = [line for line in done.stdout.splitlines() if line.endswith("to run")]
        self.assertEqual(len(lines), 6)
        fast = self.succeed("sbp-sweep", *SMALL, "--list", "--no-trial").stdout
        self.assertIn("6 points: 0 finished, 6 to run\n", fast)
        self.succeed("sbp-sweep", *BASE, *STRATEGIES, "--axis", "seed=1", "-o", self.out, "--quiet")
        known = self.succeed("sbp-sweep", *SMALL, "-o", self.out, "--list", "--no-trial").stdout
        self.assertIn("6 points: 3 finished, 3 to run\n", known)
        plan = json.loads(self.succeed("sbp-sweep", *SMALL, "-o", self.out, "--list", "--no-trial",
                                       "--json").stdout)
        self.assert_valid(plan, "sweep")
        # The dry run's peak is the traced one, to the byte.
        for point in plan["points"]:
            self.assertGreater(point["estimated_bytes"], point["figures"].get("peak_bytes", 0))

    def test_the_dry_run_says_the_peak_to_the_byte(self):
        axes = ["--axis", "strategy=full|recompute|dropit:gamma=0.9"]
        text = self.succeed("sbp-sweep", *BASE, *axes, "--list", "--no-trial").stdout
        self.succeed("sbp-sweep", *BASE, *axes, "-o", self.out, "--quiet")
        for point in self.report()["points"]:
            line = next(line for line in text.splitlines() if point["id"] in line)
            size = f"{point['figures']['peak_bytes'] / 1024:.1f} KiB" \
                if point["figures"]["peak_bytes"] < 1 << 20 \
                else f"{point['figures']['peak_bytes'] / (1 << 20):.1f} MiB"
            self.assertIn(size, line)

    def test_a_recipe_with_axes_replaced(self):
        recipe = self.folder / "recipe.json"
        recipe.write_text(json.dumps({
            "about": "what it is", "paper": "what was concluded", "command": "train",
            "base": {"model": MODEL, "data": "synthetic:samples=32", "epochs": 1, "batch": 4,
                     "flip": True},
            "axes": {"strategy": ["full", "sbp"], "strategy.sbp.keep": [0.25, 0.5]},
            "exclude": [{"strategy": "full", "seed": 2}], "repeats": 2}))
        self.succeed("sbp-sweep", "--recipe", recipe, "--steps", 1, "--axis",
                     "strategy.sbp.keep=0.5", "--axis", "batch=8", "-o", self.out, "--quiet")
        report = self.report()
        self.assertEqual(report["about"], "what it is")
        self.assertEqual(report["paper"], "what was concluded")
        self.assertEqual([list(point["axes"][name] for name in
                               ("strategy", "strategy.sbp.keep", "seed", "batch"))
                          for point in report["points"]],
                         [["full", None, "1", "8"], ["sbp", "0.5", "1", "8"],
                          ["sbp", "0.5", "2", "8"]])
        own = json.loads((self.out / report["points"][0]["file"]).read_text())
        self.assertEqual(own["steps"], 1)
        self.assertTrue(own["configuration"]["flip"])
        self.assertEqual(own["configuration"]["batch"], 8)

    def test_what_cannot_be_meant_is_refused_before_anything_runs(self):
        for parts, words in [
                (["axis 'strategi' names no option", "did you mean 'strategy'"],
                 ["--axis", "strategi=full"]),
                (["axis 'strategy.sbp.kep', value '1'", "did you mean 'keep'"],
                 ["--axis", "strategy.sbp.kep=1"]),
                (["axis 'strategy.sbp.keep' applies to no point"],
                 ["--axis", "strategy.sbp.keep=1"]),
                (["point 'seed=x'", "whole number"], ["--axis", "seed=1|x"]),
                (["point 'batch=64'", "32 training images"], ["--axis", "batch=8|64"]),
                (["axis 'seed' has an empty value"], ["--axis", "seed=1|"]),
                (["axis 'seed' has the value '1' twice"], ["--axis", "seed=1|1"]),
                (["are one command"], ["--axis", "strategy=sbp|sbp:keep=0.5"]),
                (["--steps is '2', and an axis too"], ["--axis", "steps=1|2"]),
                (["there is no axis"], []),
                (["--command is 'trian'"], ["--command", "trian", "--axis", "seed=1"]),
                (["unknown option '--checkpoint'"], ["--axis", "seed=1", "--checkpoint", "x"]),
                (["--jobs is '0'"], ["--axis", "seed=1", "--jobs", "0"])]:
            with self.subTest(words):
                self.fail_with(2, parts, "sbp-sweep", *BASE, *words, "-o", self.out)
        self.fail_with(2, ["no folder given"], "sbp-sweep", *SMALL)
        self.fail_with(2, ["there is no folder"], "sbp-sweep", *SMALL, "-o", self.out / "x")
        self.assertFalse(self.out.exists())
        file = self.folder / "file"
        file.write_text("")
        self.fail_with(2, ["that is a file"], "sbp-sweep", *SMALL, "-o", file)

    def test_what_fails_is_recorded_and_the_rest_goes_on(self):
        words = [*BASE, "--steps", 20, "--optimizer", "sgd", "--axis",
                 "optimizer.sgd.lr=0.1|1e6|0.01", "-o", self.out]
        del words[4:6]
        done = self.fail_with(1, ["not every point finished: 2 finished, 1 failed"], "sbp-sweep",
                              *words, "--quiet", stdout=subprocess.DEVNULL)
        self.assertNotIn("Traceback", done.stderr)
        report = self.report()
        self.assertEqual(self.statuses(), ["finished", "failed", "finished"])
        failed = report["points"][1]
        self.assertIn("training diverged in step", failed["reason"])
        self.assertFalse((self.out / failed["file"]).exists())
        record = json.loads((self.out / "failures" / f"{failed['id']}.json").read_text())
        self.assertEqual(record["exit_code"], 1)
        self.assertEqual(record["axes"], {"optimizer.sgd.lr": "1e6"})
        again = run("sbp-sweep", *words)
        self.assertEqual(again.returncode, 1)
        self.assertNotIn("1 of 1", again.stderr)
        retried = run("sbp-sweep", *words, "--retry-failed")
        self.assertEqual(retried.returncode, 1)
        self.assertIn("failed, 1 of 1: optimizer.sgd.lr=1e6", retried.stderr)

    def test_what_memory_cannot_hold_is_not_run(self):
        done = run("sbp-sweep", "--model", "vit:image=224,patch=4,dim=1024,depth=8,heads=8",
                   "--data", "synthetic:samples=4096", "--steps", 1, "--axis", "batch=4096", "-o",
                   self.out)
        self.assertEqual(done.returncode, 1)
        point = self.report()["points"][0]
        self.assertEqual(point["status"], "out_of_memory")
        self.assertRegex(point["reason"],
                         r"not run: it needs about [\d.]+ TiB and the machine has")
        self.assertEqual(point["seconds_reason"], "not run to its end")

    def test_a_point_that_somebody_kills_is_recorded_as_killed(self):
        words = [*BASE[:-4], "--steps", 1000000, "--axis", "seed=1|2", "-o", self.out]
        sweep = start(*words, "--jobs", 2)
        self.addCleanup(sweep.kill)
        points = wait_for(lambda: len(found := children_of(sweep.pid)) == 2 and found)
        for point in points:
            os.kill(point, signal.SIGKILL)
        self.assertEqual(sweep.wait(60), 1)
        self.assertEqual(self.statuses(), ["killed", "killed"])
        self.assertIn("ended by signal 9", self.report()["points"][0]["reason"])
        sweep.communicate()

    def test_ctrl_c_stops_points_and_says_how_to_go_on(self):
        long = [word if word != 2 else 10 ** 6 for word in BASE]
        sweep = start(*long, "--axis", "seed=1|2|3", "--jobs", 2, "-o", self.out)
        self.addCleanup(sweep.kill)
        points = wait_for(lambda: len(found := children_of(sweep.pid)) == 2 and found)
        time.sleep(0.5)  # they train
        sweep.send_signal(signal.SIGINT)
        said = sweep.communicate(timeout=60)[1]
        self.assertEqual(sweep.returncode, 130, said)
        self.assertIn("the same command goes on", said)
        self.assertFalse(any(is_alive(point) for point in points))
        self.assertEqual(self.statuses(), ["not_run"] * 3)
        self.assertEqual(list((self.out / "failures").iterdir()), [])

    def test_points_die_with_the_sweep_and_its_lock_too(self):
        long = [word if word != 2 else 10 ** 6 for word in BASE]
        words = [*long, *SEEDS, "-o", self.out, "--jobs", 2]
        sweep = start(*words)
        self.addCleanup(sweep.kill)
        points = wait_for(lambda: len(found := children_of(sweep.pid)) == 2 and found)
        # A second one is refused, whatever it wants.
        self.fail_with(1, [f"another sweep runs in '{self.out}' (process {sweep.pid})"],
                       "sbp-sweep", *SMALL, "-o", self.out)
        for point in points:
            links = [os.readlink(link) for link in pathlib.Path(f"/proc/{point}/fd").iterdir()]
            self.assertNotIn(str(self.out / "lock"), links)
        sweep.kill()
        sweep.communicate()
        wait_for(lambda: not any(is_alive(point) for point in points), 10)
        self.succeed("sbp-sweep", *SMALL, "-o", self.out, "--quiet", "--jobs", 2)

    def test_a_kill_at_any_moment_loses_nothing_that_was_finished(self):
        whole = self.folder / "whole"
        self.succeed("sbp-sweep", *SMALL, "-o", whole, "--jobs", 2, "--quiet")
        random.seed(7)
        finished = {}
        for _ in range(8):
            sweep = start(*SMALL, "-o", self.out, "--jobs", 2, "--quiet")
            time.sleep(random.uniform(0.3, 1.2))
            sweep.kill()
            sweep.communicate()
            self.assertEqual(damaged_files(self.out), [])
            for file, content in finished.items():
                self.assertEqual(file.read_bytes(), content)
            finished = {file: file.read_bytes() for file in self.out.glob("points/*.json")}
        last = self.succeed("sbp-sweep", *SMALL, "-o", self.out, "--jobs", 2)
        self.assertNotIn("warning", last.stderr)
        for file, content in finished.items():
            self.assertEqual(file.read_bytes(), content)
        self.assertEqual(table(self.out), table(whole))
        self.assertFalse((self.out / "aside").exists())
        self.assertEqual(list((self.out / "running").iterdir()), [])

    def test_a_changed_plan_damage_and_strangers_are_said(self):
        self.succeed("sbp-sweep", *SMALL, "-o", self.out, "--jobs", 2, "--quiet")
        ids = [point["id"] for point in self.report()["points"]]
        damaged = self.out / "points" / f"{ids[0]}.json"
        damaged.write_bytes(damaged.read_bytes()[:500])
        (self.out / "points/notes.txt").write_text("mine")
        done = self.succeed("sbp-sweep", *BASE, *STRATEGIES, "--axis", "seed=1|3", "-o", self.out,
                            "--jobs", 2)
        self.assertIn("axis seed was '1|2', is '1|3'; 3 of its 6 points are not in it now",
                      done.stderr)
        self.assertIn(f"points/{ids[0]}.json is no report of its point", done.stderr)
        self.assertIn("4 files of no point of this plan, left alone", done.stderr)
        self.assertEqual(self.statuses(), ["finished"] * 6)
        self.assertEqual(len(self.report()["warnings"]), 3)
        self.assertTrue((self.out / "aside" / f"{ids[0]}.json").exists())
        self.assertEqual((self.out / "points/notes.txt").read_text(), "mine")

    def test_a_limit_on_files_ends_it_with_one_sentence(self):
        self.succeed("sbp-sweep", *BASE, "--axis", "seed=1", "-o", self.out, "--quiet")
        kept = {file: file.read_bytes() for file in self.out.glob("points/*.json")}
        self.fail_with(1, ["cannot write '", "File too large", "1 of 2 points are finished"],
                       "sbp-sweep", *BASE, *SEEDS, "-o", self.out, "--quiet",
                       preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000)))
        self.assertEqual({file: file.read_bytes() for file in self.out.glob("points/*.json")}, kept)
        self.assertEqual(damaged_files(self.out), [])
        self.assertEqual(list((self.out / "failures").iterdir()), [])
        self.succeed("sbp-sweep", *BASE, *SEEDS, "-o", self.out, "--quiet")
        self.assertEqual(self.statuses(), ["finished", "finished"])

    def test_a_full_disk_ends_it_with_one_sentence(self):
        disk = pathlib.Path(tempfile.mkdtemp(prefix="sbp_disk_"))
        self.addCleanup(disk.rmdir)
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k", "none", disk],
                                 capture_output=True, check=False)
        if mounted.returncode != 0:
            self.skipTest("a small disk needs the right to mount one")
        self.addCleanup(subprocess.run, ["umount", disk], check=True)
        out = disk / "out"
        seeds = "|".join(str(seed) for seed in range(1, 31))
        done = self.fail_with(1, ["cannot write '", "No space left on device", "points are finished"],
                              "sbp-sweep", *BASE, "--axis", f"seed={seeds}", "--jobs", 2, "-o", out,
                              "--quiet")
        points = list(out.glob("points/*.json"))
        self.assertIn(f"{len(points)} of 30 points", done.stderr)
        self.assertGreater(len(points), 1)
        self.assertEqual(damaged_files(out), [])

    def test_equal_peaks_fill_the_baselines_bytes(self):
        axes = ["--axis", "strategy=full|sbp|recompute"]
        self.succeed("sbp-sweep", *BASE, *axes, "--equal-peak", "-o", self.out, "--quiet")
        full, sbp, recompute = (point["figures"] for point in self.report()["points"])
        self.assertEqual(full["batch"], 8)
        for other in (sbp, recompute):
            self.assertGreater(other["batch"], 8)
        self.assertLessEqual(recompute["peak_bytes"], full["peak_bytes"])
        self.assertGreater(recompute["peak_bytes"], 0.9 * full["peak_bytes"])

    def test_correlate_is_looked_for_beside_the_sweep(self):
        if (BIN / "sbp-correlate").exists():
            self.skipTest("there is one")
        self.fail_with(1, ["cannot run '", "sbp-correlate': No such file"], "sbp-sweep",
                       "--command", "correlate", "--model", MODEL, "--axis", "seed=1", "-o",
                       self.out, "--quiet")


if __name__ == "__main__":
    unittest.main()
