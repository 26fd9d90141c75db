// Each fuzz target over its corpus: the seeds, and whatever was found once and must stay fixed.
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "tests/fuzz/target.h"
#include "tests/skip.h"

namespace fuzz = sbp::tests::fuzz;

namespace {

const std::filesystem::path kCorpora = std::filesystem::path(SBP_SOURCE_DIR) / "tests/fuzz/corpus";

std::vector<std::uint8_t> bytes_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  REQUIRE(file);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

}  // namespace

TEST_CASE("fuzz: the corpus of each target is parsed or refused") {
  REQUIRE(!fuzz::targets().empty());
  for (const fuzz::Target& target : fuzz::targets()) {
    sbp::tests::VectorCase counted("fuzz corpus " + target.name);
    int inputs = 0;
    for (const auto& entry : std::filesystem::directory_iterator(kCorpora / target.name)) {
      const std::vector<std::uint8_t> input = bytes_of(entry.path());
      CHECK_NOTHROW_MESSAGE(target.run(input), entry.path().string());
      ++inputs;
    }
    CHECK_MESSAGE(inputs > 0, target.name);
  }
}

TEST_CASE("fuzz: each folder of inputs has its target") {
  for (const auto& entry : std::filesystem::directory_iterator(kCorpora)) {
    const std::string name = entry.path().filename().string();
    const bool known = std::ranges::any_of(fuzz::targets(),
                                           [&](const auto& target) { return target.name == name; });
    CHECK_MESSAGE(known, name);
  }
}
