"""No source file grows beyond what one reads in one sitting."""

import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import rules

LIMIT_LINES = 600
SUFFIXES = (".h", ".cpp", ".py", ".sh", ".cmake", ".txt", "")
FOLDERS = (*rules.TOP_FOLDERS, "cmake", "tools", ".ci")


def too_long(root):
    for folder in FOLDERS:
        for file in sorted(pathlib.Path(root, folder).rglob("*")):
            if file.is_file() and file.suffix in SUFFIXES and "golden" not in file.parts:
                lines = file.read_bytes().count(b"\n")
                if lines > LIMIT_LINES:
                    yield f"{file.relative_to(root)}: {lines} lines"


class Sizes(unittest.TestCase):
    def test_no_source_is_too_long(self):
        self.assertEqual(list(too_long(rules.ROOT)), [])

    def test_one_that_is_too_long_is_found(self):
        with tempfile.TemporaryDirectory() as folder:
            (pathlib.Path(folder, "sbp")).mkdir()
            pathlib.Path(folder, "sbp/long.cpp").write_text("\n" * (LIMIT_LINES + 1))
            pathlib.Path(folder, "sbp/limit.cpp").write_text("\n" * LIMIT_LINES)
            self.assertEqual(list(too_long(folder)), ["sbp/long.cpp: 601 lines"])


if __name__ == "__main__":
    unittest.main()
