// How a test says that it could not run, and how one test counts as many. Both feed the line
// `[count] N passed, N failed, N skipped` that each test program ends with and tools/test adds up.
#pragma once

#include <string>

namespace sbp::tests {

// Prints `SKIPPED: reason` and counts the running test case as skipped, not as passed, unless a
// check of it fails. Use SBP_SKIP, which also leaves the test case.
void skip(const std::string& reason);

// One of many cases that a test case reads from a file of vectors. While such an object lives,
// failed checks are its own. A test case that made some counts as that many, instead of as one.
class VectorCase {
 public:
  explicit VectorCase(std::string name);
  ~VectorCase();
  VectorCase(const VectorCase&) = delete;
  VectorCase& operator=(const VectorCase&) = delete;

  // Prints `SKIPPED: name: reason` and counts this case as skipped.
  void skip(const std::string& reason);

 private:
  std::string name_;
  int failures_before_;
  int exceptions_before_;
  bool skipped_ = false;
};

}  // namespace sbp::tests

#define SBP_SKIP(reason)        \
  do {                          \
    ::sbp::tests::skip(reason); \
    return;                     \
  } while (false)
