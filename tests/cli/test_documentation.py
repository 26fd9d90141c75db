"""The README's commands and the options of docs/cli.md are the ones that exist."""

import os
import pathlib
import re
import shlex
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("SBP_BIN_DIR", ROOT / "build/release/bin"))
PROGRAMS = ("sbp-train", "sbp-profile", "sbp-correlate", "sbp-sweep", "sbp-report")
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]*|(?<![\w-])-[a-zA-Z](?![\w-])")


def help_of(program):
    return subprocess.run([program, "--help"], capture_output=True, text=True, check=True,
                          timeout=60).stdout


def options_of(help_text):
    """The options that a help text lists: the first words of the lines that begin with one."""
    found = set()
    for line in help_text.splitlines():
        if re.match(r"\s+-{1,2}[a-zA-Z]", line):
            found |= set(OPTION.findall(re.split(r"\s{2,}", line.strip())[0]))
    return found


def commands_in(page):
    """Command lines in the fenced blocks of a page that run a program or a tool of ours."""
    for block in re.findall(r"^```\w*\n(.*?)^```", page, re.MULTILINE | re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            line = line.strip().removeprefix("$ ")
            if re.match(r"(\S*/)?sbp-\w|(\./)?tools/", line):
                yield line


def broken_command(line, root=ROOT, bin_folder=BIN):
    """What is wrong with a documented command line, or None."""
    words = shlex.split(line, comments=True)
    for separator in ("|", ">", "&&", ";"):  # what follows is the shell's or another program's
        if separator in words:
            words = words[:words.index(separator)]
    name = words[0].removeprefix("./")
    if name.startswith("tools/"):
        program = root / name
    else:
        program = bin_folder / pathlib.Path(name).name
    if not os.access(program, os.X_OK):
        return f"'{line}': there is no program '{words[0]}'"
    known = options_of(help_of(program)) if not name.startswith("tools/") else \
        set(OPTION.findall(program.read_text()))
    used = {option for word in words[1:] for option in OPTION.findall(word.split("=")[0])
            if word.startswith("-")}
    unknown = sorted(used - known)
    return f"'{line}': {words[0]} has no {', '.join(unknown)}" if unknown else None


class Readme(unittest.TestCase):
    def test_each_command_exists_with_its_options(self):
        commands = list(commands_in((ROOT / "README.md").read_text()))
        self.assertTrue(any(line.startswith("tools/demo") for line in commands), commands)
        self.assertTrue(any(line.startswith("tools/test") for line in commands), commands)
        for line in commands:
            with self.subTest(line):
                self.assertIsNone(broken_command(line))

    def test_each_program_is_in_it(self):
        page = (ROOT / "README.md").read_text()
        for program in PROGRAMS:
            self.assertIn(program, page)


class CommandPage(unittest.TestCase):
    def test_each_option_is_in_it(self):
        page_options = set(OPTION.findall((ROOT / "docs/cli.md").read_text()))
        for program in PROGRAMS:
            with self.subTest(program):
                options = options_of(help_of(BIN / program))
                self.assertIn("--help", options)
                self.assertEqual(sorted(options - page_options), [])

    def test_each_long_option_in_it_exists(self):
        known = set().union(*(options_of(help_of(BIN / program)) for program in PROGRAMS))
        page = (ROOT / "docs/cli.md").read_text()
        written = {option for option in OPTION.findall(page) if option.startswith("--")}
        self.assertEqual(sorted(written - known), [])


class TheChecksThemselves(unittest.TestCase):
    PAGE = ("```sh\ntools/go --fast  # a comment\nsbp-old --x 1\n$ sbp-new \\\n  --right 1 --wrong 2"
            " | less --raw\n```\nsbp-outside --y\n")

    def test_wrong_commands_are_found(self):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            (root / "tools").mkdir()
            for path, text in (("tools/go", "#!/bin/sh\n# go [--fast]\n"),
                               ("sbp-new", "#!/bin/sh\necho 'Options:'\necho '  -r,--right N  as"
                                           " --wrong was'\n")):
                (root / path).write_text(text)
                (root / path).chmod(0o755)
            told = [broken_command(line, root, root) for line in commands_in(self.PAGE)]
        self.assertEqual(len(told), 3)
        self.assertIsNone(told[0])
        self.assertIn("there is no program 'sbp-old'", told[1])
        self.assertIn("sbp-new has no --wrong", told[2])


if __name__ == "__main__":
    unittest.main()
