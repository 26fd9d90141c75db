#include <doctest/doctest.h>

#include <string>

#include "experiments/recipes/published_file.h"
#include "sbp/base/error.h"

using namespace sbp;
using namespace sbp::experiments;

namespace {

constexpr const char* kFolder = SBP_SOURCE_DIR "/experiments/recipes/published";

std::string complaint(const std::string& text) {
  try {
    (void)parse_published_file(text, "paper.json");
  } catch (const UsageError& error) {
    return error.what();
  }
  return {};
}

// A file whose one row has these members too.
std::string with_row(const std::string& members) {
  return R"({"predict": "a100", "rows": [{"name": "full", "published": "8 MiB")" + members + "}]}";
}

}  // namespace

TEST_CASE("rows share options, and their own win") {
  const PublishedFile file = parse_published_file(
      R"({"about": "a", "source": "b", "predict": "a100", "measured": "forward",
          "distributed": true, "options": {"batch": 64, "model": "vit"}, "reasons": {"why": "so"},
          "rows": [{"name": "full", "published": "1.5 GiB"},
                   {"name": "half", "published": "512 MiB", "baseline": "full",
                    "options": {"strategy": "sbp", "batch": 32}, "reasons": ["why"]}],
          "left_out": {"other": "no model"}})",
      "folder/paper.json");
  CHECK(file.measured == Measured::forward);
  CHECK(file.distributed);
  REQUIRE(file.rows.size() == 2);
  CHECK(file.rows[0].name == "paper/full");
  CHECK(file.rows[0].published_bytes == std::int64_t{3} << 29);
  CHECK(file.rows[1].baseline == "paper/full");
  CHECK(file.rows[1].options[0] == std::pair<std::string, std::string>("batch", "32"));
  CHECK(file.rows[1].options[2].second == "sbp");
  CHECK(file.left_out[0].second == "no model");
}

TEST_CASE("published figures of another form are one sentence") {
  CHECK(complaint(with_row("")).empty());
  CHECK(complaint("{}") == "published figures 'paper.json' has no 'rows'");
  CHECK(complaint(R"({"row": 1})").find("'row'") != std::string::npos);
  CHECK(complaint(R"({"rows": [{"name": "a", "published": "1 MiB"}]})").find("'predict'") !=
        std::string::npos);
  CHECK(complaint(with_row(R"(, "baseline": "none")")).find("'paper/none'") != std::string::npos);
  CHECK(complaint(with_row(R"(, "reasons": ["none"])")).find("'none'") != std::string::npos);
  CHECK(complaint(with_row(R"(, "reasons": "none")")).find("'reasons'") != std::string::npos);
  CHECK(complaint(with_row(R"(, "size": 1)")).find("'size'") != std::string::npos);
  CHECK(complaint(R"({"predict": "a100", "rows": [{"name": "a", "published": "8 fish"}]})")
            .find("'8 fish'") != std::string::npos);
  CHECK(complaint(R"({"predict": "a100", "measured": "twice", "rows": []})").find("'twice'") !=
        std::string::npos);
  const std::string row = R"({"name": "a", "published": "1 MiB"})";
  CHECK(complaint(R"({"predict": "a100", "rows": [)" + row + "," + row + "]}").find("twice") !=
        std::string::npos);
}

TEST_CASE("the project's published figures are understood whole") {
  std::size_t rows = 0;
  for (const std::string& path : published_files(kFolder)) {
    CAPTURE(path);
    const PublishedFile file = read_published_file(path);
    CHECK(!file.about.empty());
    rows += file.rows.size();
    for (const PublishedRow& row : file.rows) CHECK(!row.reasons.empty());
  }
  CHECK(rows == 22);
}
