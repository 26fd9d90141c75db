"""Memory over time for other viewers, replayed to the byte."""

import json
import os
import pickle
import pty
import unittest

from support import CommandTest, TINY, needs_programs


@needs_programs
class Exports(CommandTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        make = cls().succeed
        words = [*TINY, "--device", "meta", "--strategy", "sbp:keep=0.5"]
        cls.text = make("sbp-profile", *words, "--blocks", "--json").stdout
        cls.plain = make("sbp-profile", *words, "--json").stdout

    def setUp(self):
        super().setUp()
        self.report = self.folder / "r.json"
        self.report.write_text(self.text)
        self.memory = json.loads(self.text)["memory"]

    def test_blocks_are_kept_on_demand_and_change_nothing_else(self):
        with_blocks = self.assert_valid(self.text, "profile")["memory"]
        without = self.assert_valid(self.plain, "profile")["memory"]
        self.assertIsNone(without["blocks"])
        self.assertIn("--blocks", without["blocks_reason"])
        for key in ["peak_bytes", "saved", "categories_at_peak", "layers", "cells_at_peak"]:
            self.assertEqual(with_blocks[key], without[key])
        rows = with_blocks["blocks"]["rows"]
        self.assertEqual(len(rows), with_blocks["ledger"]["allocate_events"])
        peak = with_blocks["peak_record_index"]
        columns = with_blocks["blocks"]["columns"]
        alive = {}
        for row in (dict(zip(columns, row)) for row in rows):
            if row["born_record"] <= peak and not 0 <= row["died_record"] <= peak:
                alive[row["category"]] = alive.get(row["category"], 0) + row["bytes"]
        categories = with_blocks["categories_at_peak"]
        self.assertEqual(alive, {name: size for name, size in categories.items() if size})

    def test_chrome_trace(self):
        path = self.folder / "trace.json"
        self.assertEqual(self.succeed("sbp-report", self.report, "--chrome-trace", path).stdout, "")
        events = json.loads(path.read_text())["traceEvents"]
        total = [e["args"]["bytes"] for e in events if e["name"] == "live bytes"]
        self.assertEqual(max(total), self.memory["peak_bytes"])
        # The categories' counters add up to the whole one after each event.
        parts, before = {}, 0
        counters = [e for e in events if e["ph"] == "C"]
        for whole, part in zip(counters[::2], counters[1::2]):
            parts[part["name"]] = part["args"]["bytes"]
            self.assertEqual(whole["args"]["bytes"], sum(parts.values()))
            self.assertGreaterEqual(whole["ts"], before)
            before = whole["ts"]
        phases = [e["name"] for e in events if e["ph"] == "X"]
        self.assertEqual(phases, ["setup", "forward", "backward", "optimizer_step"])
        begun = sorted(e["id"] for e in events if e["ph"] == "b")
        self.assertEqual(begun, sorted(e["id"] for e in events if e["ph"] == "e"))
        self.assertTrue(begun)

    def test_memory_pickle(self):
        path = self.folder / "snapshot.pickle"
        self.succeed("sbp-report", self.report, "--memory-pickle", path)
        snapshot = pickle.loads(path.read_bytes())
        self.assertEqual(set(snapshot), {"segments", "device_traces", "allocator_settings"})
        (segment,), (events,) = snapshot["segments"], snapshot["device_traces"]
        live, now, peak = {}, 0, 0
        first, last = segment["address"], segment["address"] + segment["total_size"]
        for event in events:
            address, size = event["addr"], event["size"]
            if event["action"] == "alloc":
                self.assertLessEqual(first, address)
                self.assertLessEqual(address + size, last)
                self.assertTrue(all(address + size <= a or a + s <= address
                                    for a, s in live.items()), "blocks overlap")
                live[address] = size
                now += size
                peak = max(peak, now)
                self.assertEqual(len(event["frames"]), 2)
                self.assertEqual(set(event["frames"][0]), {"name", "filename", "line"})
            elif event["action"] == "free_completed":
                self.assertEqual(live.pop(address), size)
                now -= size
        self.assertEqual(peak, self.memory["peak_bytes"])
        # The segment is what is left at the end, without gaps between its blocks.
        at = first
        for block in segment["blocks"]:
            self.assertEqual(block["address"], at)
            at += block["size"]
            if block["state"] == "active_allocated":
                self.assertEqual(live.pop(block["address"]), block["size"])
        self.assertEqual((at, live), (last, {}))
        self.assertIn("unknown", {event.get("category") for event in events})

    def test_standard_output_is_a_file_called_minus(self):
        for words, name in ((["--memory-pickle"], "a.pickle"), (["--chrome-trace"], "a.trace"),
                            (["--html"], "a.html"), (["--format", "csv", "-o"], "a.csv")):
            with self.subTest(name):
                here = self.folder / name
                self.succeed("sbp-report", self.report, *words, here)
                with open(self.folder / "out", "wb") as out:
                    self.succeed("sbp-report", self.report, *words, "-", stdout=out,
                                 cwd=self.folder)
                self.assertEqual((self.folder / "out").read_bytes(), here.read_bytes())
                self.assertFalse((self.folder / "-").exists())
        self.fail_with(2, ["--chrome-trace", "--memory-pickle", "standard output"], "sbp-report",
                       self.report, "--memory-pickle", "-", "--chrome-trace", "-")

    def test_a_pickle_is_not_for_terminals(self):
        controller, terminal = pty.openpty()
        try:
            self.fail_with(2, ["terminal", "name a file"], "sbp-report", self.report,
                           "--memory-pickle", "-", stdout=terminal)
        finally:
            os.close(terminal)
            os.close(controller)

    def device_report(self):
        """The report as of a CUDA device whose allocator gives each block a segment of its own."""
        report = json.loads(self.text)
        rows, segments, times = [], [], []

        def event():
            times.append(1000 * len(times))
            return len(times) - 1

        columns = report["memory"]["blocks"]["columns"]
        lives = [dict(zip(columns, row)) for row in report["memory"]["blocks"]["rows"]]
        happened = sorted([(life["born_record"], 1, i) for i, life in enumerate(lives)] +
                          [(life["died_record"], 0, i) for i, life in enumerate(lives)
                           if life["died_record"] >= 0])
        now, peaks, then = [0, 0, 0, 0], [0, 0, 0, 0], None
        for _, born, i in happened:
            life, size = lives[i], max(lives[i]["bytes"], 1)
            block, segment = -(-size // 512) * 512, -(-size // (2 << 20)) * (2 << 20)
            if born:
                segments.append([event(), "segment_alloc", "large", (i + 1) << 32, segment])
                life["row"] = [event(), -1, (i + 1) << 32, size, block, life["category"],
                               int(life["born_record"] > 40), life["phase"], life["layer"],
                               life["saved"], -1]
                rows.append(life["row"])
                change = [size, block, 0, segment]
            else:
                life["row"][10] = event()
                change = [-size, -block, block, 0]
                if i % 3:  # else a stream still uses it
                    life["row"][1] = event()
                    segments.append([event(), "segment_free", "large", (i + 1) << 32, segment])
                    change = [-size, -block, 0, -segment]
            now = [a + b for a, b in zip(now, change)]
            if now[0] > peaks[0]:
                then = now
            peaks = list(map(max, peaks, now))
        requested, allocated, awaiting, reserved = then
        report["device_memory"] = {
            "requested_bytes": requested, "rounding_bytes": allocated - requested,
            "awaiting_bytes": awaiting, "cached_bytes": reserved - allocated - awaiting,
            "reserved_bytes": reserved, "unseen_bytes": 0, "peak_reserved_bytes": peaks[3],
            "nameless_bytes": 0, "unseen": [], "cupti": "ran", "balanced": True,
            "first_problem": "",
            "blocks": {"columns": ["born_event", "died_event", "address", "requested_bytes",
                                   "block_bytes", "category", "step", "phase", "layer", "saved",
                                   "free_requested_event"],
                       "rows": rows,
                       "segment_columns": ["event", "action", "pool", "address", "bytes"],
                       "segment_rows": segments, "event_ns": times, "older_events": 0}}
        del report["device_memory_reason"]
        return report

    def test_memory_pickle_of_a_device(self):
        report = self.device_report()
        self.assert_valid(json.dumps(report), "profile")
        self.report.write_text(json.dumps(report))
        path = self.folder / "snapshot.pickle"
        self.succeed("sbp-report", self.report, "--memory-pickle", path)
        snapshot = pickle.loads(path.read_bytes())
        (events,) = snapshot["device_traces"]
        blocks = report["device_memory"]["blocks"]
        self.assertEqual(len(events), len(blocks["event_ns"]) + 1)
        self.assertEqual([e["time_us"] for e in events[:-1]], list(range(len(events) - 1)))
        born = {e["addr"]: e for e in events if e["action"] == "alloc"}
        for row in blocks["rows"]:
            event = born[row[2]]
            self.assertEqual((event["size"], event["block_size"]), (row[3], row[4]))
            self.assertEqual(event["frames"][1]["name"], "born in " +
                             row[7].replace("_", " "))
            self.assertEqual("saved" in event["frames"][0]["name"], row[9])
        waiting = {row[2] for row in blocks["rows"] if row[1] < 0 <= row[10]}
        self.assertTrue(waiting)
        states = {"active_allocated": 0, "active_pending_free": 0, "inactive": 0}
        for segment in snapshot["segments"]:
            block = segment["blocks"][0]
            states[block["state"]] += 1
            self.assertEqual(block["state"] == "active_pending_free", block["address"] in waiting)
            self.assertEqual(segment["active_size"], block["size"])
            self.assertEqual(segment["allocated_size"],
                             0 if block["address"] in waiting else block["size"])
        self.assertEqual(states["active_pending_free"], len(waiting))
        self.assertEqual(sum(states.values()),
                         len([row for row in blocks["rows"] if row[1] < 0]))

        report["device_memory"]["blocks"]["rows"][3][3] -= 1
        report["device_memory"]["requested_bytes"] += 1
        self.report.write_text(json.dumps(report))
        self.fail_with(1, ["add up to a peak", "requested"], "sbp-report", self.report,
                       "--memory-pickle", path, "--force")

    def test_what_cannot_be_exported(self):
        plain = self.folder / "plain.json"
        plain.write_text(self.plain)
        out = self.folder / "out"
        self.fail_with(1, ["plain.json", "--blocks"], "sbp-report", plain, "--chrome-trace", out)
        self.assertFalse(out.exists())
        self.fail_with(2, ["one report"], "sbp-report", plain, plain, "--memory-pickle", out)
        self.fail_with(2, ["prints nothing"], "sbp-report", self.report, "--memory-pickle", out,
                       "--table", "layers")
        out.write_text("")
        self.fail_with(2, ["exists"], "sbp-report", self.report, "--memory-pickle", out)
        self.succeed("sbp-report", self.report, "--memory-pickle", out, "--force")
        self.fail_with(2, ["no folder"], "sbp-report", self.report, "--chrome-trace",
                       self.folder / "none" / "out")


if __name__ == "__main__":
    unittest.main()
