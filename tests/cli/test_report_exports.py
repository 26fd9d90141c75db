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
