"""What a run would take of a GPU: sums, what costs more, exports, bad input."""

import json
import pickle
import signal
import subprocess
import time
import unittest

from support import BIN, CommandTest, TINY, hears_ctrl_c, needs_programs, run


@needs_programs
class Predict(CommandTest):
    def predict(self, *words, device="a100"):
        text = self.succeed("sbp-profile", *TINY, "--predict", device, "--json", *words).stdout
        return self.assert_valid(text, "prediction")

    def peaks(self, *words, **options):
        return self.predict(*words, **options)["prediction"]["peak_device_bytes"]

    def test_every_byte_has_an_owner(self):
        for words in ([], ["--strategy", "sbp:keep=0.5"], ["--batch", "64"],
                      ["--model", "resnet18:image=32,classes=10,width=8", "--optimizer", "sgd"],
                      ["--allocator", "expandable_segments=true"], ["--precision", "bf16"]):
            with self.subTest(words):
                model = [] if "--model" in words else TINY
                text = self.succeed("sbp-profile", *model, *words, "--predict", "a100",
                                    "--json").stdout
                report = self.assert_valid(text, "prediction")["prediction"]
                layers, overheads = report["layers"], report["overheads"]
                owned = sum(layer["requested_bytes"] for layer in layers)
                self.assertEqual(owned + sum(overheads.values()), report["peak_device_bytes"])
                for layer in layers:
                    self.assertEqual(sum(layer["categories"].values()), layer["requested_bytes"])
                    self.assertLessEqual(layer["requested_bytes"], layer["block_bytes"])
                beside = {"cached", "context", "kernel_code", "library_handles"}
                blocks = sum(size for name, size in overheads.items() if name not in beside)
                self.assertEqual(owned + blocks, report["peak_allocated_bytes"])
                self.assertEqual(report["peak_allocated_bytes"] + overheads["cached"],
                                 report["peak_reserved_bytes"])
                self.assertLessEqual(report["peak_requested_bytes"], report["peak_allocated_bytes"])
                self.assertLess(0, owned)
                low, high = report["interval_bytes"]
                self.assertLessEqual(low, high)

    def test_saved_bytes_are_those_of_a_profile(self):
        for strategy in ("full", "sbp:keep=0.5"):
            report = self.predict("--strategy", strategy)
            profile = json.loads(self.succeed("sbp-profile", *TINY, "--strategy", strategy, "--json",
                                              "--warmup", 0, "--time-steps", 0).stdout)
            memory = profile["memory"]
            self.assertEqual(report["saved"], memory["saved"])
            keys = ("saved_logical_bytes", "saved_distinct_bytes", "saved_marginal_bytes",
                    "saved_count")
            saved = {layer["name"]: [layer[key] for key in keys] for layer in memory["layers"]
                     if layer["saved_count"]}
            self.assertEqual({layer["name"]: [layer[key] for key in keys]
                              for layer in report["prediction"]["layers"]
                              if layer["saved_count"]}, saved)

    def test_what_costs_more(self):
        full = self.predict("--batch", "64")["prediction"]
        more = self.predict("--batch", "128")["prediction"]
        half = self.predict("--batch", "64", "--strategy", "sbp:keep=0.5")["prediction"]
        for key in ("peak_requested_bytes", "peak_allocated_bytes"):
            self.assertLess(full[key], more[key])
            self.assertLess(half[key], full[key])
        self.assertLessEqual(full["peak_reserved_bytes"], more["peak_reserved_bytes"])
        self.assertLessEqual(half["peak_reserved_bytes"], full["peak_reserved_bytes"])
        mixed = self.predict("--batch", "64", "--precision", "bf16")
        self.assertLess(mixed["saved"]["distinct_bytes"], self.predict("--batch", "64")["saved"][
            "distinct_bytes"])
        self.assertEqual(self.predict("--batch", "64", "--precision", "fp16")["saved"]["count"],
                         mixed["saved"]["count"])

    def test_expandable_segments_reserve_no_more(self):
        words = ["--batch", "256"]
        native = self.predict(*words)["prediction"]
        expandable = self.predict(*words, "--allocator", "expandable_segments=true")["prediction"]
        self.assertLessEqual(expandable["peak_reserved_bytes"], native["peak_reserved_bytes"])
        self.assertEqual(expandable["peak_requested_bytes"], native["peak_requested_bytes"])
        self.assertIn("expandable_segments=true", expandable["allocator"])

    def test_the_same_twice(self):
        first, again = (self.predict("--strategy", "sbp:keep=0.5") for _ in range(2))
        self.assertEqual(first["prediction"], again["prediction"])

    def test_optimizer_state_arrives_late(self):
        one = self.predict("--predict-steps", "1")["prediction"]
        three = self.predict()["prediction"]
        self.assertEqual((one["steps"], three["steps"]), (1, 3))
        self.assertLess(one["peak_requested_bytes"], three["peak_requested_bytes"])

    def test_it_fits_or_says_where_it_does_not(self):
        fits = self.predict()["prediction"]["fits"]
        self.assertTrue(fits["fits"])
        self.assertIsNone(fits["failed_at"])
        for memory in ("1MiB", "275MiB", "300MiB"):
            report = self.predict("--batch", "512", device=f"a100:memory={memory}")["prediction"]
            self.assertFalse(report["fits"]["fits"], memory)
            self.assertLess(0, report["fits"]["failed_bytes"])
            self.assertLess(report["fits"]["capacity_bytes"], report["peak_device_bytes"])
        text = self.succeed("sbp-profile", *TINY, "--predict", "a100:memory=1MiB").stdout
        self.assertIn("no, not in 1.0 MiB", "\n".join(text.splitlines()[:3]))

    def test_the_largest_batch(self):
        device = "a100:memory=320MiB"
        found = self.predict("--largest-batch", device=device)["prediction"]["largest_batch"]
        batch = found["batch"]
        self.assertLess(1, batch)
        at_most = self.predict("--batch", str(batch), device=device)["prediction"]["fits"]
        self.assertEqual((at_most["fits"], at_most["peak_device_bytes"]),
                         (True, found["peak_device_bytes"]))
        over = self.predict("--batch", str(batch + 1), device=device)["prediction"]["fits"]
        self.assertFalse(over["fits"])
        none = self.predict("--largest-batch", device="a100:memory=1MiB")["prediction"]
        self.assertEqual(none["largest_batch"]["batch"], 0)
        self.assertEqual(none["largest_batch"]["bound"], 1)
        self.assertLessEqual(found["cautious_batch"], batch)
        cautious = self.predict("--batch", str(found["cautious_batch"]))["prediction"]
        self.assertLessEqual(cautious["interval_bytes"][1], 320 << 20)

    def test_the_largest_batch_wherever_the_search_begins(self):
        # Just below the limit single batches fit and others do not.
        words = ["--model", "mobilenet_v3_small:classes=10", "--data", "synthetic:image=32",
                 "--predict", "rtx3060:memory=400MiB", "--largest-batch", "--json"]
        found = {json.dumps(json.loads(self.succeed("sbp-profile", *words, "--batch", start).stdout)
                            ["prediction"]["largest_batch"]) for start in ("2", "8", "150", "900")}
        self.assertEqual(len(found), 1, found)
        # A batch norm takes no batch of one value a channel: that is no end of the search.
        words[5] = "rtx3060:memory=300MiB"
        report = json.loads(self.succeed("sbp-profile", *words, "--batch", "8").stdout)
        self.assertEqual(report["prediction"]["largest_batch"]["batch"], 0)

    def test_attention_that_was_left_open_is_said(self):
        def warnings(attention, *words):
            text = self.succeed("sbp-profile", "--model", TINY[1] + attention, *TINY[2:],
                                "--predict", "a100", "--json", *words).stdout
            return json.loads(text)["warnings"]

        self.assertIn("attention=fused", " ".join(warnings("")))
        for words in ([",attention=eager"], [",attention=fused"], ["", "--loop", "sbp"]):
            with self.subTest(words):
                self.assertEqual(warnings(*words), [])

    def test_a_cautious_batch_fits_for_sure(self):
        words = ["--model", "mobilenet_v3_small", "--data", "synthetic:image=64", "--predict",
                 "rtx4060:memory=1GiB", "--json"]
        largest = json.loads(self.succeed("sbp-profile", *words, "--largest-batch").stdout)
        cautious = largest["prediction"]["largest_batch"]["cautious_batch"]
        self.assertLess(0, cautious)
        for batch, sure in ((cautious, True), (cautious + 1, False)):
            one = json.loads(self.succeed("sbp-profile", *words, "--batch", str(batch)).stdout)
            self.assertEqual(one["prediction"]["interval_bytes"][1] <= 1 << 30, sure, batch)

    def test_accumulated_batches_are_one_step(self):
        report = self.predict("--accumulate", "4")["prediction"]
        self.assertEqual(report["steps"], 3)
        self.assertLessEqual(report["allocated_peak"]["step"], 3)

    def test_interrupted(self):
        process = subprocess.Popen(
            [str(BIN / "sbp-profile"), "--model", "convnext_tiny", "--predict", "a100",
             "--predict-steps", "1000", "--quiet", "-o", str(self.folder / "report.json")],
            preexec_fn=hears_ctrl_c, stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.kill)
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 130, stderr)
        self.assertFalse((self.folder / "report.json").exists())

    def test_the_text_answers_first(self):
        lines = self.succeed("sbp-profile", *TINY, "--predict", "rtx3060",
                             "--largest-batch").stdout.splitlines()
        self.assertIn("on rtx3060", lines[1])
        self.assertTrue(lines[2].split()[:2] == ["fits", "yes,"], lines[2])
        self.assertTrue(lines[3].split()[:2] == ["largest", "batch"], lines[3])
        self.assertTrue(any(line.startswith("  blocks.0 ") for line in lines))

    def test_gpus_are_listed(self):
        listed = self.succeed("sbp-profile", "--list", "gpus").stdout
        for name in ("a100", "h100", "rtx3060", "rtx4060"):
            self.assertIn(f"{name}  ", listed)

    def test_bad_input(self):
        def refused(parts, *words):
            self.fail_with(2, parts, "sbp-profile", *TINY, *words)

        refused(["'h10'", "did you mean 'h100'"], "--predict", "h10")
        refused(["'memry'", "memory"], "--predict", "a100:memry=1GiB")
        for size in ("12XB", "-1", "1e30", "2PiB"):
            refused([f"'{size}'", "12GiB"], "--predict", f"a100:memory={size}")
        refused(["'cuda:0'", "leave it out"], "--predict", "a100", "--device", "cuda:0")
        refused(["'metaa'"], "--predict", "a100", "--device", "metaa")
        refused(["'8'", "'8GiB' is meant"], "--predict", "a100:memory=8")
        refused(["'0'", "less than 1 MiB"], "--predict", "a100:memory=0")
        refused(["memory=10GiB"], "--predict", "rtx3070")
        refused(["one at a time"], "--predict", "a100,h100")
        refused(["--blocks", "--output"], "--predict", "a100", "--blocks")
        for words in (["--batch", "8"], ["--largest-batch"], ["--print-plan"], ["--device", "cpu"]):
            self.fail_with(2, [words[0], "--published"], "sbp-profile", "--published", "x", *words)
        for words in (["--print-plan"], ["--time-steps", "1"], ["--warmup", "1"]):
            refused([words[0], "--predict"], "--predict", "a100", *words)
        for words in (["--allocator", "native"], ["--largest-batch"], ["--loop", "sbp"],
                      ["--predict-steps", "2"]):
            refused([words[0], "--predict"], *words)
        refused(["'garbage'", "known"], "--predict", "a100", "--allocator", "garbage=1")
        refused(["max_split_mb", "'1'"], "--predict", "a100", "--allocator", "max_split_mb=1")
        refused(["limit", ":memory="], "--predict", "a100", "--allocator", "limit_bytes=1000000")
        refused(["--predict-steps", "'0'"], "--predict", "a100", "--predict-steps", "0")
        refused(["--batch", "'1000001'"], "--predict", "a100", "--batch", "1000001")

    def test_an_absurd_batch_does_not_fit(self):
        report = self.predict("--batch", "1000000")["prediction"]
        fits = report["fits"]
        self.assertEqual((fits["fits"], fits["capacity_bytes"]), (False, 81049 << 20))
        self.assertLess(0, fits["failed_bytes"])
        self.assertLess(fits["capacity_bytes"], report["peak_device_bytes"])


@needs_programs
class PredictionReports(CommandTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        make = cls().succeed
        words = [*TINY, "--predict", "a100", "--batch", "64", "--json"]
        cls.texts = {
            "full": make("sbp-profile", *words, "--blocks").stdout,
            "sbp": make("sbp-profile", *words, "--strategy", "sbp:keep=0.5").stdout,
            "mapped": make("sbp-profile", *words, "--blocks", "--allocator",
                           "expandable_segments=true").stdout}

    def setUp(self):
        super().setUp()
        self.files = {}
        for name, text in self.texts.items():
            self.files[name] = self.folder / f"{name}.json"
            self.files[name].write_text(text)
        self.prediction = json.loads(self.texts["full"])["prediction"]

    def rows(self, table, *files):
        text = self.succeed("sbp-report", *files, "--table", table, "--format", "json").stdout
        return json.loads(text)["tables"][table]["rows"]

    def test_tables_in_every_form(self):
        full = self.files["full"]
        parts = self.succeed("sbp-report", full, "--format", "csv").stdout.splitlines()
        self.assertEqual(parts[0].split(",")[:2], ["part", "bytes"])
        rows = [line.split(",") for line in parts[1:]]
        self.assertEqual(sum(int(row[1]) for row in rows[:-1]), int(rows[-1][1]))
        self.assertEqual(int(rows[-1][1]), self.prediction["peak_device_bytes"])
        for table in ("summary", "blocks", "layers", "plan"):
            self.succeed("sbp-report", full, "--table", table, "--format", "json")
        self.assertIn("## ", self.succeed("sbp-report", full, "--format", "markdown").stdout)
        blocks = self.rows("blocks", full)
        self.assertEqual(sum(row["requested_bytes"] for row in blocks),
                         sum(layer["requested_bytes"] for layer in self.prediction["layers"]))

    def test_compared(self):
        text = self.succeed("sbp-report", self.files["full"], self.files["sbp"]).stdout
        self.assertIn("peak on the card", text)
        rows = self.rows("summary", self.files["full"], self.files["sbp"])
        self.assertEqual(rows[0]["device_peak_bytes"], self.prediction["peak_device_bytes"])

    def test_a_largest_batch_of_the_version_before(self):
        report = json.loads(self.texts["full"])
        report["prediction"]["largest_batch"] = {
            "batch": 538, "peak_device_bytes": self.prediction["peak_device_bytes"]}
        del report["prediction"]["largest_batch_reason"]
        self.files["full"].write_text(json.dumps(report))
        text = self.succeed("sbp-report", self.files["full"]).stdout
        (line,) = [line for line in text.splitlines() if "largest batch" in line]
        self.assertIn("538, in ", line)
        for word in ("more", "none"):
            self.assertNotIn(word, line)

    def test_differences(self):
        done = self.succeed("sbp-report", "--diff", self.files["full"], self.files["sbp"],
                            "--format", "json")
        tables = json.loads(done.stdout)["tables"]
        layers = tables["layers"]["rows"]
        sizes = [row["largest_change_bytes"] for row in layers]
        self.assertEqual(sizes, sorted(sizes, reverse=True))
        self.assertTrue(all(sizes))
        overheads = tables["overheads"]["rows"]
        self.assertTrue(all(row["before"] or row["after"] for row in overheads))
        self.fail_with(1, ["kind"], "sbp-report", "--diff", self.files["full"], self.other_kind())

    def other_kind(self):
        path = self.folder / "profile.json"
        self.succeed("sbp-profile", *TINY, "--device", "meta", "--quiet", "-o", path)
        return path

    def budget(self, limits):
        path = self.folder / "budget.json"
        path.write_text(json.dumps(limits))
        return path

    def test_budgets(self):
        full, peak = self.files["full"], self.prediction["peak_device_bytes"]
        totals = {key: self.prediction[key] for key in (
            "peak_device_bytes", "peak_reserved_bytes", "peak_allocated_bytes",
            "peak_requested_bytes")}
        self.succeed("sbp-report", full, "--budget", self.budget({"total": totals}))
        over = self.budget({"total": {"peak_device_bytes": peak - 1}})
        done = self.run_budget(1, full, over)
        self.assertIn("total peak_device_bytes", done.stderr)
        self.succeed("sbp-report", full, "--budget", self.budget(
            {"categories": {"activation": "1 GiB"},
             "layers": {"blocks.*": {"requested_bytes": "1 GiB"}}}))
        both = self.budget({"total": totals, "phases": {"backward": "1 GiB"}})
        text = self.succeed("sbp-report", full, "--budget", both).stdout
        self.assertIn("a prediction tells of a GPU at its peak alone", text)
        self.fail_with(1, ["its peak alone"], "sbp-report", full, "--budget",
                       self.budget({"phases": {"backward": "1 GiB"}}))
        # A profile's figures are of other bytes; those there are instead are named.
        self.fail_with(1, ["its peak alone", "peak_requested_bytes", "peak_device_bytes"],
                       "sbp-report", full, "--budget",
                       self.budget({"total": {"peak_bytes": "1 GiB"}}))
        self.fail_with(1, ["its peak alone", " requested_bytes"], "sbp-report", full, "--budget",
                       self.budget({"layers": {"blocks.*": {"own_peak_bytes": 1}}}))
        self.fail_with(1, ["predict it"], "sbp-report", self.other_kind(), "--budget",
                       self.budget({"total": {"peak_device_bytes": 1}}))

    def run_budget(self, code, report, budget):
        done = run("sbp-report", report, "--budget", budget)
        self.assertEqual(done.returncode, code, done.stderr)
        return done

    def test_memory_pickles_replay_to_the_byte(self):
        for name, maps in (("full", False), ("mapped", True)):
            with self.subTest(name):
                path = self.folder / f"{name}.pickle"
                self.succeed("sbp-report", self.files[name], "--memory-pickle", path)
                self.check_pickle(pickle.loads(path.read_bytes()), maps,
                                  json.loads(self.texts[name])["prediction"])

    def check_pickle(self, snapshot, maps, prediction):
        (events,) = snapshot["device_traces"]
        live, now, peaks = {}, [0, 0, 0], [0, 0, 0]
        signs = {"segment_alloc": 1, "segment_map": 1, "segment_free": -1, "segment_unmap": -1}
        for event in events:
            action = event["action"]
            if action in signs:
                self.assertEqual(action.endswith("map"), maps)
                now[2] += signs[action] * event["size"]
            elif action == "alloc":
                self.assertNotIn(event["addr"], live)
                live[event["addr"]] = event
                now[0] += event["size"]
                now[1] += event["block_size"]
            elif action == "free_completed":
                born = live.pop(event["addr"])
                self.assertEqual(born["size"], event["size"])
                now[0] -= event["size"]
                now[1] -= event["block_size"]
            peaks = list(map(max, peaks, now))
        self.assertEqual(peaks, [prediction["peak_requested_bytes"],
                                 prediction["peak_allocated_bytes"],
                                 prediction["peak_reserved_bytes"]])
        # The segments are what is left at the end, without gaps between their blocks.
        for segment in snapshot["segments"]:
            self.assertEqual(segment["is_expandable"], maps)
            at, allocated = segment["address"], 0
            for block in segment["blocks"]:
                self.assertEqual(block["address"], at)
                at += block["size"]
                if block["state"] == "active_allocated":
                    born = live.pop(block["address"])
                    self.assertEqual((born["size"], born["block_size"]),
                                     (block["requested_size"], block["size"]))
                    allocated += block["size"]
            self.assertEqual(at, segment["address"] + segment["total_size"])
            self.assertEqual(allocated, segment["allocated_size"])
            now[2] -= segment["total_size"]
        self.assertEqual((live, now[2]), ({}, 0))

    def test_chrome_traces_rise_to_the_peak(self):
        path = self.folder / "trace.json"
        self.succeed("sbp-report", self.files["full"], "--chrome-trace", path)
        events = json.loads(path.read_text())["traceEvents"]
        total = [e["args"]["bytes"] for e in events if e["name"] == "live bytes"]
        self.assertEqual(max(total), self.prediction["peak_allocated_bytes"])

    def test_what_cannot_be_exported(self):
        out = self.folder / "out"
        for export in ("--memory-pickle", "--chrome-trace"):
            self.fail_with(1, ["sbp.json", "--blocks"], "sbp-report", self.files["sbp"], export,
                           out)
            self.assertFalse(out.exists())
        report = json.loads(self.texts["full"])
        rows = report["prediction"]["blocks"]["rows"]
        rows.remove(max(rows, key=lambda row: row[4]))
        self.files["full"].write_text(json.dumps(report))
        self.fail_with(1, ["add up to a peak"], "sbp-report", self.files["full"],
                       "--memory-pickle", out)

    def test_damaged_reports(self):
        def refused(parts, change):
            report = json.loads(self.texts["full"])
            change(report)
            self.files["full"].write_text(json.dumps(report))
            self.fail_with(1, parts, "sbp-report", self.files["full"])

        # A limit that it only seems to keep.
        report = json.loads(self.texts["full"])
        report["prediction"]["peak_device_bytes"] = 5
        path = self.folder / "lie.json"
        path.write_text(json.dumps(report))
        self.fail_with(1, ["prediction.peak_device_bytes is 5"], "sbp-report", path, "--budget",
                       self.budget({"total": {"peak_device_bytes": "1 MiB"}}))

        refused(["schema_version", "2.0"], lambda r: r.update(schema_version="2.0"))
        refused(["interval_bytes"], lambda r: r["prediction"].update(interval_bytes=[1]))
        refused(["peak_device_bytes"], lambda r: r["prediction"].pop("peak_device_bytes"))
        refused(["negative"], lambda r: r["prediction"]["blocks"]["rows"][0].__setitem__(4, -1))
        refused(["impossible size"],
                lambda r: r["prediction"]["blocks"]["rows"][0].__setitem__(4, (1 << 62) + 1))
        refused(["after its birth"],
                lambda r: r["prediction"]["blocks"]["rows"][-1].__setitem__(1, 0))
        refused(["as another is"], lambda r: r["prediction"]["blocks"]["rows"][1].__setitem__(
            0, r["prediction"]["blocks"]["rows"][0][0]))

    def test_a_sweep_of_predictions(self):
        folder = self.folder / "sweep"
        words = ["--command", "profile", "--axis", "predict=a100|h100", "--axis",
                 "strategy=full|sbp:keep=0.5", *TINY, "-o", folder, "--jobs", "2"]
        listed = self.succeed("sbp-sweep", *words, "--list").stdout
        self.assertIn("320.0 MiB", listed)
        self.succeed("sbp-sweep", *words, "--quiet")
        sweep = self.assert_valid((folder / "sweep.json").read_text(), "sweep")
        self.assertEqual([point["status"] for point in sweep["points"]], ["finished"] * 4)
        for point in sweep["points"]:
            report = self.assert_valid((folder / point["file"]).read_text(), "prediction")
            self.assertEqual(point["figures"]["device_peak_bytes"],
                             report["prediction"]["peak_device_bytes"])
            self.assertEqual(point["figures"]["fits"], 1)
            self.assertEqual(point["figures"]["capacity_bytes"],
                             report["prediction"]["fits"]["capacity_bytes"])
        self.assertIn("peak on the card", self.succeed("sbp-report", folder).stdout)
        self.fail_with(2, ["predict=h10", "h100"], "sbp-sweep", "--command", "profile", "--axis",
                       "predict=a100|h10", *TINY, "-o", self.folder / "none")


if __name__ == "__main__":
    unittest.main()
