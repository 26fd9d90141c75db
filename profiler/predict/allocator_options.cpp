#include "profiler/predict/allocator_options.h"

#include <algorithm>
#include <bit>
#include <string_view>
#include <utility>
#include <vector>

#include "profiler/predict/request_size.h"
#include "profiler/predict/roundup_list.h"
#include "sbp/base/error.h"
#include "sbp/base/number.h"

namespace sbp::predict {
namespace {

constexpr std::string_view kWhat = "allocator";
constexpr std::string_view kName = "native";
constexpr double kMaxMebibytes = 1 << 30;            // 1 PiB
constexpr double kMaxLimitBytes = 1125899906842624;  // the same

// PyTorch's names of keys that have another here.
constexpr std::pair<std::string_view, std::string_view> kOtherNames[] = {
    {"max_split_size_mb", "max_split_mb"}, {"large_segment_size_mb", "large_segment_mb"}};

KeySchema mebibytes(std::string key, std::string default_value, std::string help) {
  return {.key = std::move(key),
          .kind = ValueKind::integer,
          .default_value = std::move(default_value),
          .help = std::move(help),
          .minimum = 0,
          .maximum = kMaxMebibytes};
}

std::vector<SpecSchema> make_schemas() {
  return {{std::string(kName),
           "PyTorch's CUDA caching allocator",
           {word_key("expandable_segments", {"false", "true"}, "segments that grow"),
            mebibytes("max_split_mb", "0", "MiB from which on blocks are never split; 0: none"),
            mebibytes("max_non_split_rounding_mb", "0",
                      "MiB a block that is not split may be too large; 0: large_segment_mb"),
            mebibytes("large_segment_mb", "20", "MiB of a segment for 1 to 10 MiB"),
            {.key = "roundup_power2_divisions",
             .default_value = "0",
             .help = "steps between powers of two: 4, or \"[256:1,512:2,>:4]\" by MiB; 0: none"},
            {.key = "garbage_collection_threshold",
             .kind = ValueKind::real,
             .default_value = "0",
             .help = "share of limit_bytes from which on old segments go; 0: none",
             .minimum = 0,
             .maximum = 1,
             .open_maximum = true},
            {.key = "limit_bytes",
             .kind = ValueKind::integer,
             .default_value = "0",
             .help = "the most that may be reserved; 0: endless",
             .minimum = 0,
             .maximum = kMaxLimitBytes}}}};
}

// `key=value` pairs, cut at commas outside brackets and double quotes.
std::vector<std::string_view> pairs_of(std::string_view text) {
  std::vector<std::string_view> pairs;
  std::size_t start = 0;
  bool quoted = false;
  bool in_list = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '"') quoted = !quoted;
    if (text[i] == '[') in_list = true;
    if (text[i] == ']') in_list = false;
    if (text[i] != ',' || quoted || in_list) continue;
    pairs.push_back(text.substr(start, i - start));
    start = i + 1;
  }
  pairs.push_back(text.substr(start));
  return pairs;
}

// One pair of PyTorch's spelling in the project's.
std::string translated(std::string_view pair) {
  const std::size_t equals = pair.find('=');
  std::string_view key = pair.substr(0, equals);
  const std::size_t colon = key.find(':');
  if (colon != std::string_view::npos) {
    throw UsageError(concat("allocator setting '", pair, "' has ':' where '=' belongs; write ",
                            key.substr(0, colon), "=VALUE, and a comma between settings"));
  }
  for (const auto& [other, ours] : kOtherNames) {
    if (key == other) key = ours;
  }
  if (equals == std::string_view::npos) return std::string(key);
  std::string value(pair.substr(equals + 1));
  if (key == "expandable_segments" && value == "True") value = "true";
  if (key == "expandable_segments" && value == "False") value = "false";
  if (value.starts_with('[')) value = "\"" + value + "\"";
  return concat(key, "=", value);
}

// The text as a spec: with the name, and our names of keys.
std::string spec_text(std::string_view text) {
  const std::string prefix = concat(kName, ":");
  if (text == kName || text.empty()) return std::string(text);
  if (text.starts_with(prefix)) text.remove_prefix(prefix.size());
  std::vector<std::string> pairs;
  for (const std::string_view pair : pairs_of(text)) pairs.push_back(translated(pair));
  return prefix + join(pairs, ",");
}

std::optional<std::int64_t> bytes_unless_zero(std::int64_t mebibytes) {
  if (mebibytes == 0) return std::nullopt;
  return mebibytes * kMebibyte;
}

// `rule` says where the minimum comes from.
void check_mebibytes(std::string_view key, std::int64_t bytes, std::int64_t minimum_bytes,
                     std::string_view rule) {
  if (bytes % kMebibyte != 0) {
    throw UsageError(concat("allocator ", key, " must be whole MiB, not '", bytes, "' bytes"));
  }
  if (bytes < minimum_bytes || bytes > static_cast<std::int64_t>(kMaxMebibytes) * kMebibyte) {
    throw UsageError(concat("allocator ", key, " must be in [", minimum_bytes / kMebibyte, ", ",
                            exact_text(kMaxMebibytes), "] (", rule, "), not '", bytes / kMebibyte,
                            "'"));
  }
}

void check_bytes(std::string_view key, std::int64_t bytes) {
  const auto maximum = static_cast<std::int64_t>(kMaxLimitBytes);
  if (bytes >= 1 && bytes <= maximum) return;
  throw UsageError(concat("allocator ", key, " must be in [1, ", maximum, "], not '", bytes, "'"));
}

std::string mebibytes_text(const std::optional<std::int64_t>& bytes) {
  return std::to_string(bytes.value_or(0) / kMebibyte);
}

}  // namespace

void check(const AllocatorOptions& options) {
  check_mebibytes("large_segment_mb", options.large_segment_bytes, kOwnSegmentBytes + kMebibyte,
                  "more than 10");
  if (options.max_split_bytes) {
    check_mebibytes("max_split_mb", *options.max_split_bytes, options.large_segment_bytes,
                    "from large_segment_mb on, or 0 for none");
  }
  if (options.max_non_split_rounding_bytes) {
    check_mebibytes("max_non_split_rounding_mb", *options.max_non_split_rounding_bytes,
                    options.large_segment_bytes, "from large_segment_mb on, which 0 stands for");
  }
  for (const std::int64_t divisions : options.roundup_power2_divisions) check_divisions(divisions);
  const double threshold = options.garbage_collection_threshold;
  if (!(threshold >= 0.0 && threshold < 1.0)) {
    throw UsageError(
        concat("allocator garbage_collection_threshold must be in [0, 1), not '", threshold, "'"));
  }
  if (options.limit_bytes) check_bytes("limit_bytes", *options.limit_bytes);
  check_bytes("device_total_bytes", options.device_total_bytes);
}

std::span<const SpecSchema> allocator_schemas() {
  static const std::vector<SpecSchema> schemas = make_schemas();
  return schemas;
}

AllocatorOptions parse_allocator_options(const std::string& text) {
  const Spec spec = parse_spec(spec_text(text), kWhat, allocator_schemas());
  AllocatorOptions options;
  options.expandable_segments = spec.text("expandable_segments") == "true";
  options.max_split_bytes = bytes_unless_zero(spec.integer("max_split_mb"));
  options.max_non_split_rounding_bytes =
      bytes_unless_zero(spec.integer("max_non_split_rounding_mb"));
  options.large_segment_bytes = spec.integer("large_segment_mb") * kMebibyte;
  options.roundup_power2_divisions = parse_roundup_divisions(spec.text("roundup_power2_divisions"));
  options.garbage_collection_threshold = spec.real("garbage_collection_threshold");
  const std::int64_t limit_bytes = spec.integer("limit_bytes");
  if (limit_bytes > 0) options.limit_bytes = limit_bytes;
  check(options);
  return options;
}

std::string to_string(const AllocatorOptions& options) {
  Spec spec{std::string(kName), {}};
  spec.values = {
      {"expandable_segments", options.expandable_segments ? "true" : "false"},
      {"max_split_mb", mebibytes_text(options.max_split_bytes)},
      {"max_non_split_rounding_mb",
       mebibytes_text(options.max_non_split_rounding_bytes.value_or(options.large_segment_bytes))},
      {"large_segment_mb", mebibytes_text(options.large_segment_bytes)},
      {"roundup_power2_divisions", roundup_text(options.roundup_power2_divisions)},
      {"garbage_collection_threshold", exact_text(options.garbage_collection_threshold)},
      {"limit_bytes", std::to_string(options.limit_bytes.value_or(0))}};
  return sbp::to_string(spec);
}

}  // namespace sbp::predict
