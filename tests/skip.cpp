#include "tests/skip.h"

#include <doctest/doctest.h>

#include <exception>
#include <iostream>
#include <utility>

namespace sbp::tests {
namespace {

struct Counts {
  int passed = 0;
  int failed = 0;
  int skipped = 0;
};

// doctest makes the listener, so what tests tell it lies outside.
Counts total;
int failed_checks = 0;      // in the whole run so far
bool case_skipped = false;  // the running test case called skip()
Counts vector_cases;        // made by the running test case

class CountingListener : public doctest::IReporter {
 public:
  explicit CountingListener(const doctest::ContextOptions& options) : options_(options) {}

  void test_case_start(const doctest::TestCaseData&) override {
    case_skipped = false;
    vector_cases = {};
  }

  void log_assert(const doctest::AssertData& check) override {
    if (check.m_failed) ++failed_checks;
  }

  void log_message(const doctest::MessageData& message) override {
    if ((message.m_severity & doctest::assertType::is_warn) == 0) ++failed_checks;
  }

  void test_case_end(const doctest::CurrentTestCaseStats& stats) override {
    const bool has_vector_cases =
        vector_cases.passed + vector_cases.failed + vector_cases.skipped > 0;
    total.passed += vector_cases.passed;
    total.failed += vector_cases.failed;
    total.skipped += vector_cases.skipped;
    if (!stats.testCaseSuccess) {
      if (vector_cases.failed == 0) ++total.failed;
    } else if (case_skipped) {
      ++total.skipped;
    } else if (!has_vector_cases) {
      ++total.passed;
    }
  }

  void test_run_end(const doctest::TestRunStats&) override {
    if (options_.list_test_cases || options_.count || options_.help || options_.version) return;
    *options_.cout << "[count] " << total.passed << " passed, " << total.failed << " failed, "
                   << total.skipped << " skipped" << std::endl;
  }

  void report_query(const doctest::QueryData&) override {}
  void test_run_start() override {}
  void test_case_reenter(const doctest::TestCaseData&) override {}
  void test_case_exception(const doctest::TestCaseException&) override {}
  void subcase_start(const doctest::SubcaseSignature&) override {}
  void subcase_end() override {}
  void test_case_skipped(const doctest::TestCaseData&) override {}

 private:
  const doctest::ContextOptions& options_;
};

REGISTER_LISTENER("counting", 1, CountingListener);

}  // namespace

void skip(const std::string& reason) {
  std::cout << "SKIPPED: " << reason << std::endl;
  case_skipped = true;
}

VectorCase::VectorCase(std::string name)
    : name_(std::move(name)),
      failures_before_(failed_checks),
      exceptions_before_(std::uncaught_exceptions()) {}

VectorCase::~VectorCase() {
  if (failed_checks > failures_before_ || std::uncaught_exceptions() > exceptions_before_) {
    std::cout << "FAILED: " << name_ << std::endl;
    ++vector_cases.failed;
  } else if (skipped_) {
    ++vector_cases.skipped;
  } else {
    ++vector_cases.passed;
  }
}

void VectorCase::skip(const std::string& reason) {
  std::cout << "SKIPPED: " << name_ << ": " << reason << std::endl;
  skipped_ = true;
}

}  // namespace sbp::tests
