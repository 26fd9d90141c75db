#include <doctest/doctest.h>

#include "sbp/base/error.h"

namespace {

const std::vector<std::string> kNames = {"full", "sbp", "quant"};

}  // namespace

TEST_CASE("error: exit codes") {
  CHECK(sbp::Error("x").code() == sbp::ExitCode::failed);
  CHECK(sbp::UsageError("x").code() == sbp::ExitCode::usage);
  CHECK(static_cast<int>(sbp::ExitCode::ok) == 0);
  CHECK(static_cast<int>(sbp::ExitCode::failed) == 1);
  CHECK(static_cast<int>(sbp::ExitCode::usage) == 2);
  CHECK(static_cast<int>(sbp::ExitCode::interrupted) == 130);
  CHECK(std::string(sbp::UsageError("the sentence").what()) == "the sentence");
}

TEST_CASE("error: join and concat") {
  CHECK(sbp::join(std::vector<std::string>{"", "a", ""}) == ", a, ");
  CHECK(sbp::join({}) == "");
  CHECK(sbp::join(kNames) == "full, sbp, quant");
  CHECK(sbp::join(kNames, "|") == "full|sbp|quant");
  CHECK(sbp::concat("a", 1, 'b', 2.5) == "a1b2.5");
}

TEST_CASE("error: nearest by edit distance, empty when too far") {
  CHECK(sbp::nearest("sbp", kNames) == "sbp");
  CHECK(sbp::nearest("spb", kNames) == "sbp");   // neighbours swapped: one edit
  CHECK(sbp::nearest("sbpp", kNames) == "sbp");  // one letter too many
  CHECK(sbp::nearest("qant", kNames) == "quant");
  CHECK(sbp::nearest("ful", kNames) == "full");
  CHECK(sbp::nearest("zzzzzz", kNames) == "");
  CHECK(sbp::nearest("", kNames) == "");
  const std::vector<std::string> longer = {"fashion_mnist", "cifar10", "cifar100"};
  CHECK(sbp::nearest("fash", longer) == "fashion_mnist");  // the beginning of just one
  CHECK(sbp::nearest("cifar", longer) == "cifar10");       // of two: by distance
  CHECK(sbp::nearest("anything", {}) == "");
}

TEST_CASE("error: a null byte of what is quoted does not end the sentence") {
  const std::string quoted("a\0b\0\0", 5);
  CHECK(sbp::UsageError(sbp::concat("'", quoted, "' is wrong")).what() ==
        std::string("'a\\0b\\0\\0' is wrong"));
}

TEST_CASE("error: unknown words") {
  CHECK(sbp::unknown_word("strategy", "qant", kNames) ==
        "unknown strategy 'qant'; did you mean 'quant'? Known: full, sbp, quant");
  CHECK(sbp::unknown_word("key", "x", {}) == "unknown key 'x'; it takes none");
}
