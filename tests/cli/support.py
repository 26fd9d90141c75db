"""What the tests of the commands share."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import unittest

import jsonschema

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("SBP_BIN_DIR", ROOT / "build/release/bin"))

# Small enough for a step to take a few milliseconds.
MODEL = "vit:image=28,patch=7,dim=32,depth=2,heads=2,classes=10"
TINY = ["--model", MODEL, "--data", "synthetic:samples=32", "--threads", "1"]

PROGRAMS = ["sbp-train", "sbp-profile", "sbp-correlate", "sbp-sweep", "sbp-report"]


def missing_programs():
    return [name for name in PROGRAMS if not (BIN / name).is_file()]


def needs_programs(test_class):
    missing = missing_programs()
    return unittest.skipIf(missing, f"{', '.join(missing)} not built in '{BIN}'")(test_class)


def run(program, *arguments, **options):
    options.setdefault("stdout", subprocess.PIPE)
    options.setdefault("stderr", subprocess.PIPE)
    options.setdefault("timeout", 300)
    return subprocess.run([str(BIN / program), *map(str, arguments)], text=True, **options)


def hears_ctrl_c():
    """For a child: where these tests run in the background of a script, SIGINT is ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def schema(kind):
    return json.loads((ROOT / f"reports/schema/{kind}.schema.json").read_text())


def nulls_without_reason(value, path=""):
    """Paths of members that are null and whose object does not say why."""
    found = []
    if isinstance(value, dict):
        for key, member in value.items():
            here = f"{path}.{key}"
            if member is None and not isinstance(value.get(f"{key}_reason"), str):
                found.append(here)
            found += nulls_without_reason(member, here)
    elif isinstance(value, list):
        for index, member in enumerate(value):
            found += nulls_without_reason(member, f"{path}[{index}]")
    return found


class CommandTest(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="sbp_cli_"))
        self.addCleanup(shutil.rmtree, self.folder)

    def succeed(self, program, *arguments, **options):
        done = run(program, *arguments, **options)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done

    def fail_with(self, code, parts, program, *arguments, **options):
        """One sentence on standard error with all `parts`, and nothing on standard output."""
        done = run(program, *arguments, **options)
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertEqual(done.stdout or "", "")
        self.assertTrue(done.stderr.startswith(f"{program}: "), done.stderr)
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        for part in parts:
            self.assertIn(part, done.stderr)
        return done

    def assert_valid(self, report, kind):
        def refuse(word):
            raise AssertionError(f"{word} is not JSON")

        if isinstance(report, (str, bytes)):
            report = json.loads(report, parse_constant=refuse)
        self.assertEqual(report["kind"], kind)
        jsonschema.Draft7Validator.check_schema(schema(kind))
        jsonschema.Draft7Validator(schema(kind)).validate(report)
        self.assertEqual(nulls_without_reason(report), [])
        return report
