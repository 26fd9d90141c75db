// Where test vectors lie: the small copy beside the tests, and a folder named by SBP_GOLDEN_DIR.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <vector>

namespace sbp::tests {

inline std::vector<std::filesystem::path> golden_folders() {
  std::vector<std::filesystem::path> folders{std::filesystem::path(SBP_SOURCE_DIR) /
                                             "tests/golden"};
  const char* named = std::getenv("SBP_GOLDEN_DIR");
  if (named != nullptr && *named != '\0') folders.emplace_back(named);
  return folders;
}

}  // namespace sbp::tests
