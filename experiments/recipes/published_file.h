// A file of memory figures that a paper published, and the runs they are of. LibTorch-free.
//
//   {"about": "...", "source": "...", "predict": "a100:torch=1.8", "measured": "training",
//    "distributed": true, "options": {options that all rows share},
//    "reasons": {"gelu": "sentence", ...},
//    "rows": [{"name": "full", "published": "8248 MiB", "options": {...}, "reasons": ["gelu"]},
//             {"name": "sbp", "published": "5587 MiB", "baseline": "full", ...}],
//    "left_out": {"figure": "why"}}
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sbp::experiments {

enum class Measured : std::uint8_t {
  training,  // the most that is allocated in training
  forward,   // the same of one training-mode forward, without backward: "cache"
};

struct PublishedRow {
  std::string name;                                          // "sbp_vit_tiny/full"
  std::vector<std::pair<std::string, std::string>> options;  // as typed, without dashes
  std::string published;                                     // as printed there: "8248 MiB"
  std::int64_t published_bytes = 0;
  std::string baseline;              // the row it is compared with; or empty
  std::vector<std::string> reasons;  // why ours differs: names
};

struct PublishedFile {
  std::string about;
  std::string source;
  std::string predict;  // the GPU
  Measured measured = Measured::training;
  bool distributed = false;  // each process holds a second copy of the gradients, in buckets
  std::vector<PublishedRow> rows;
  std::vector<std::pair<std::string, std::string>> reasons;   // name, sentence
  std::vector<std::pair<std::string, std::string>> left_out;  // figure, why
};

// Throws UsageError naming the file and what is wrong with it.
PublishedFile read_published_file(const std::string& path);
// The same for a text; `name` is what rows and errors call it.
PublishedFile parse_published_file(std::string_view text, const std::string& name);

// `path` itself, or the JSON files of the folder that it is, in order of their names. Throws
// UsageError where it is neither, or there are none.
std::vector<std::string> published_files(const std::string& path);

}  // namespace sbp::experiments
