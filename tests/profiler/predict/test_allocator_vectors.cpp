#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "profiler/predict/caching_allocator.h"
#include "profiler/predict/request_size.h"
#include "sbp/base/error.h"
#include "tests/skip.h"

using namespace sbp;
using namespace sbp::predict;
// Lists of roundup_power2_divisions are read in their order.
using json = nlohmann::ordered_json;

namespace {

// A case of a kind that this reader does not know.
struct Unsupported {
  std::string reason;
};

// The small copy beside the tests, and the folder that SBP_ALLOCATOR_DIR names, laid out alike.
std::vector<std::filesystem::path> vector_files() {
  std::vector<std::filesystem::path> files{std::filesystem::path(SBP_SOURCE_DIR) /
                                           "tests/profiler/predict/data/vectors.json"};
  const char* named = std::getenv("SBP_ALLOCATOR_DIR");
  if (named != nullptr && *named != '\0') {
    files.push_back(std::filesystem::path(named) / "vectors.json");
  }
  return files;
}

json read_json(const std::filesystem::path& path) {
  std::ifstream file(path);
  REQUIRE_MESSAGE(file.good(), path.string());
  return json::parse(file);
}

// The vectors show by interval what they mean by a list: `>` begins at the interval named last.
void set_divisions(const json& value, AllocatorOptions& options) {
  auto& divisions = options.roundup_power2_divisions;
  if (value.is_number()) return divisions.fill(value.get<std::int64_t>());
  std::size_t last = 0;
  bool first = true;
  for (const auto& [start, count] : value.items()) {
    if (start == ">") continue;
    last = std::min<std::size_t>(
        63 - static_cast<std::size_t>(std::countl_zero(std::stoull(start))), kRoundupIntervals - 1);
    if (first) std::fill_n(divisions.begin(), last, count.get<std::int64_t>());
    first = false;
    divisions[last] = count.get<std::int64_t>();
  }
  if (value.contains(">")) {
    std::fill(divisions.begin() + static_cast<std::ptrdiff_t>(last), divisions.end(),
              value.at(">").get<std::int64_t>());
  }
}

AllocatorOptions options_of(const json& values) {
  AllocatorOptions options;
  for (const auto& [key, value] : values.items()) {
    if (key == "max_split_size_mb") {
      options.max_split_bytes = value.get<std::int64_t>() * kMebibyte;
    } else if (key == "max_non_split_rounding_mb") {
      options.max_non_split_rounding_bytes = value.get<std::int64_t>() * kMebibyte;
    } else if (key == "large_segment_size_mb") {
      options.large_segment_bytes = value.get<std::int64_t>() * kMebibyte;
    } else if (key == "roundup_power2_divisions") {
      set_divisions(value, options);
    } else if (key == "garbage_collection_threshold") {
      options.garbage_collection_threshold = value;
    } else if (key == "limit_bytes") {
      options.limit_bytes = value.get<std::int64_t>();
    } else if (key == "expandable_segments") {
      options.expandable_segments = value;
    } else if (key == "device_total_bytes") {
      options.device_total_bytes = value;
    } else {
      throw Unsupported{"option '" + key + "'"};
    }
  }
  return options;
}

// Replays the operations of one trace.
class Replay {
 public:
  explicit Replay(const json& options) : allocator_(options_of(options)) {}

  void run(const json& operation) {
    const std::string& kind = operation.at("op").get_ref<const std::string&>();
    if (kind == "alloc") {
      const std::int64_t id = operation.at("id");
      const auto handle = allocator_.allocate(operation.at("bytes"), operation.at("stream"));
      if (handle) live_[id] = *handle;
      if (!handle) failed_.push_back(id);
    } else if (kind == "free") {
      const auto found = live_.find(operation.at("id"));
      if (found == live_.end()) return;
      allocator_.free(found->second);
      live_.erase(found);
    } else if (kind == "record_stream") {
      const auto found = live_.find(operation.at("id"));
      if (found != live_.end()) allocator_.record_stream(found->second, operation.at("stream"));
    } else if (kind == "events_done") {
      allocator_.finish_events();
    } else if (kind == "empty_cache") {
      allocator_.empty_cache();
    } else if (kind == "reset_peak") {
      allocator_.reset_peaks();
    } else {
      throw Unsupported{"operation '" + kind + "'"};
    }
  }

  CachingAllocator& allocator() { return allocator_; }
  const AllocatorStatistics& statistics() const { return allocator_.statistics(); }
  const std::vector<std::int64_t>& failed() const { return failed_; }
  Handle held(std::int64_t id) const { return live_.at(id); }

 private:
  CachingAllocator allocator_;
  std::unordered_map<std::int64_t, Handle> live_;
  std::vector<std::int64_t> failed_;
};

json as_json(const Figure& figure) {
  return {{"current", figure.current}, {"peak", figure.peak}};
}

json as_json(const PoolStatistics& pool) {
  return {{"requested", as_json(pool.requested)},
          {"allocated", as_json(pool.allocated)},
          {"active", as_json(pool.active)},
          {"reserved", as_json(pool.reserved)},
          {"inactive_split", as_json(pool.inactive_split)}};
}

json as_json(const AllocatorStatistics& statistics) {
  json figures = as_json(statistics.total);
  figures["segments"] = as_json(statistics.segments);
  figures["num_alloc_retries"] = statistics.retries;
  figures["num_ooms"] = statistics.out_of_memory;
  figures["num_device_alloc"] = statistics.device_allocs;
  figures["num_device_free"] = statistics.device_frees;
  figures["small_pool"] = as_json(statistics.small_pool);
  figures["large_pool"] = as_json(statistics.large_pool);
  return figures;
}

// Every figure that `expected` has, or it is of a kind that is not known.
void check_figures(const AllocatorStatistics& statistics, const json& expected) {
  const json figures = as_json(statistics);
  for (const auto& [key, value] : expected.items()) {
    if (key == "after_ops") continue;
    if (!figures.contains(key)) throw Unsupported{"figure '" + key + "'"};
    INFO(key);
    CHECK(nlohmann::json(figures.at(key)) == nlohmann::json(value));
  }
}

void check_trace(const json& trace) {
  Replay replay(trace.at("options"));
  const json& expected = trace.at("expected");
  const json readings = expected.value("every_50", json::array());
  auto reading = readings.begin();
  std::size_t done = 0;
  for (const json& operation : trace.at("ops")) {
    replay.run(operation);
    ++done;
    if (reading == readings.end() || reading->at("after_ops") != done) continue;
    INFO("after operation ", done);
    check_figures(replay.statistics(), *reading);
    ++reading;
  }
  CHECK(done == trace.at("num_ops"));
  CHECK(reading == readings.end());
  check_figures(replay.statistics(), expected.at("final"));
  if (expected.contains("oom_ids")) CHECK(json(replay.failed()) == expected.at("oom_ids"));
}

// After every operation: where the block lies, and all current figures.
void check_walkthrough(const json& walk) {
  Replay replay(walk.at("options"));
  std::optional<std::uint64_t> first;
  int number = 0;
  for (const json& step : walk.at("steps")) {
    INFO("operation ", ++number);
    replay.run(step);
    if (!step.at("block_bytes").is_null()) {
      const Place place = replay.allocator().place(replay.held(step.at("id")));
      if (!first) first = place.address;
      const bool expandable = replay.allocator().options().expandable_segments;
      CHECK(place.block_bytes == step.at("block_bytes"));
      CHECK(place.address - (expandable ? place.segment_address : *first) ==
            step.at("block_offset"));
    }
    const json figures = as_json(replay.statistics());
    for (const char* figure :
         {"requested", "allocated", "active", "reserved", "inactive_split", "segments"}) {
      INFO(figure);
      CHECK(figures.at(figure).at("current") == step.at(figure));
    }
  }
}

void check_single_request(const json& row) {
  CachingAllocator allocator((AllocatorOptions()));
  const std::int64_t bytes = row.at("request");
  const auto handle = allocator.allocate(bytes);
  REQUIRE(handle);
  CHECK(rounded_request(bytes, allocator.options()) == row.at("rounded"));
  CHECK(allocator.place(*handle).block_bytes == row.at("block_bytes"));
  CHECK(allocator.place(*handle).pool ==
        (row.at("pool") == "small" ? PoolKind::small : PoolKind::large));
  CHECK(allocator.statistics().total.reserved.current == row.at("segment_bytes"));
  CHECK(allocator.statistics().total.inactive_split.current == row.at("free_rest_bytes"));
}

void check_roundup(const json& table) {
  AllocatorOptions options;
  set_divisions(table.at("roundup_power2_divisions"), options);
  CHECK(json(options.roundup_power2_divisions) == table.at("table_by_interval"));
  for (const json& row : table.at("rows")) {
    INFO(row.dump());
    CHECK(rounded_request(row.at("request"), options) == row.at("rounded"));
  }
}

// What a case of each list of the file is checked by; none: not known.
using Check = void (*)(const json&);
Check check_of(const std::string& list) {
  if (list == "single_requests") return check_single_request;
  if (list == "roundup_table") return check_roundup;
  if (list == "walkthroughs") return check_walkthrough;
  if (list == "traces" || list == "option_traces" || list == "known_readings") return check_trace;
  return nullptr;
}

std::string name_of(const json& entry, std::size_t index) {
  if (entry.is_object() && entry.contains("name")) return entry.at("name");
  return "number " + std::to_string(index);
}

void check_case(const std::string& name, Check check, const json& entry) {
  tests::VectorCase vector_case(name);
  if (check == nullptr) return vector_case.skip("cases of this list are not supported");
  try {
    check(entry);
  } catch (const Unsupported& unsupported) {
    vector_case.skip(unsupported.reason + " is not supported");
  } catch (const std::exception& error) {
    FAIL_CHECK(name << ": " << error.what());
  }
}

}  // namespace

TEST_CASE("allocator vectors" * doctest::test_suite("vectors")) {
  for (const auto& path : vector_files()) {
    int compared = 0;
    const json lists = read_json(path);
    for (const auto& [list, entries] : lists.items()) {
      if (!entries.is_array()) continue;
      for (std::size_t i = 0; i < entries.size(); ++i) {
        check_case("allocator " + list + " " + name_of(entries[i], i), check_of(list), entries[i]);
        ++compared;
      }
    }
    CHECK(compared > 0);
  }
}

TEST_CASE("all allocator vectors are at hand" * doctest::test_suite("vectors")) {
  const char* named = std::getenv("SBP_ALLOCATOR_DIR");
  if (named == nullptr || *named == '\0') {
    SBP_SKIP("SBP_ALLOCATOR_DIR does not name the folder of all allocator vectors");
  }
  CHECK(std::filesystem::exists(std::filesystem::path(named) / "vectors.json"));
}
