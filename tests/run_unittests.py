"""Runs the Python tests of a folder: run_unittests.py FOLDER

Ends with the line `[count] N passed, N failed, N skipped` that tools/test adds up; a test with
failed subtests is one failure. Exit status 1 when one failed or none ran.
"""

import pathlib
import sys
import unittest


def main():
    folder = pathlib.Path(sys.argv[1]).resolve()
    suite = unittest.TestLoader().discover(str(folder), pattern="test_*.py")
    result = unittest.TextTestRunner(stream=sys.stderr, verbosity=1).run(suite)
    for test, reason in result.skipped:
        print(f"SKIPPED: {test.id()}: {reason}")
    failed = {getattr(test, "test_case", test).id()
              for test, _ in result.failures + result.errors}
    failed |= {test.id() for test in result.unexpectedSuccesses}
    skipped = {getattr(test, "test_case", test).id() for test, _ in result.skipped} - failed
    # A failing set-up of a class or module is a failure without a test that ran.
    ran_and_failed = sum(1 for name in failed if "setUp" not in name)
    passed = max(0, result.testsRun - ran_and_failed - len(skipped))
    print(f"[count] {passed} passed, {len(failed)} failed, {len(skipped)} skipped", flush=True)
    return 0 if passed and not failed else 1


sys.exit(main())
