// Each `NAME.bin` beside a `NAME.expected.json`, in the committed folder and in SBP_CUPTI_DIR.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "profiler/cuda/activity_books.h"
#include "profiler/cuda/activity_decoder.h"
#include "tests/profiler/cuda/buffer_builder.h"
#include "tests/skip.h"

namespace sbp::profiler {
namespace {

using Json = nlohmann::json;
using Indices = std::vector<std::int64_t>;

struct VectorFile {
  std::string name;
  std::vector<std::byte> bytes;
  Json expected;
};

std::vector<VectorFile> read_folder(const std::filesystem::path& folder) {
  std::vector<VectorFile> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".bin") continue;
    const std::filesystem::path json =
        std::filesystem::path(entry.path()).replace_extension(".expected.json");
    if (!std::filesystem::exists(json)) continue;
    std::ifstream beside(json);
    files.push_back({entry.path().stem(), tests::file_bytes(entry.path()), Json::parse(beside)});
  }
  std::ranges::sort(files, {}, &VectorFile::name);
  return files;
}

std::vector<VectorFile> vector_files() {
  auto files = read_folder(std::filesystem::path(SBP_SOURCE_DIR) / "tests/golden/cupti");
  const char* named = std::getenv("SBP_CUPTI_DIR");
  if (named == nullptr || *named == '\0') return files;
  for (auto& file : read_folder(named)) {
    file.name = "SBP_CUPTI_DIR/" + file.name;
    files.push_back(std::move(file));
  }
  return files;
}

// A record of ours with the keys of the vectors' JSON.
struct AsJson {
  Json operator()(const ExternalActivity& external) const {
    return {{"externalKind", external.external_kind},
            {"externalId", external.external_id},
            {"correlationId", external.correlation_id},
            {"reserved", external.reserved}};
  }
  Json operator()(const ApiActivity& api) const {
    return {{"cbid", api.callback_id},
            {"start", api.start_ns},
            {"end", api.end_ns},
            {"processId", api.process_id},
            {"threadId", api.thread_id},
            {"correlationId", api.correlation_id},
            {"returnValue", api.return_value}};
  }
  Json operator()(const MemoryActivity& memory) const {
    Json pool = {{"memoryPoolType", memory.pool.type},
                 {"address", memory.pool.address},
                 {"releaseThreshold", memory.pool.release_threshold},
                 {"utilizedSize", memory.pool.utilized_bytes}};
    if (memory.pool.type == PoolType::imported) {
      pool["processId"] = memory.pool.process_id;
    } else {
      pool["size"] = memory.pool.size_bytes;
    }
    return {{"memoryOperationType", memory.operation},
            {"memoryKind", memory.memory_kind},
            {"correlationId", memory.correlation_id},
            {"address", memory.address},
            {"bytes", memory.bytes},
            {"timestamp", memory.time_ns},
            {"PC", memory.program_counter},
            {"processId", memory.process_id},
            {"deviceId", memory.device_id},
            {"contextId", memory.context_id},
            {"streamId", memory.stream_id},
            {"name_pointer", memory.name_pointer},
            {"isAsync", memory.is_async},
            {"memoryPoolConfig", pool},
            {"source_pointer", memory.source_pointer}};
  }
  Json operator()(const PoolActivity& pool) const {
    return {{"memoryPoolOperationType", pool.operation},
            {"memoryPoolType", pool.type},
            {"correlationId", pool.correlation_id},
            {"processId", pool.process_id},
            {"deviceId", pool.device_id},
            {"minBytesToKeep", pool.least_kept_bytes},
            {"address", pool.address},
            {"size", pool.size_bytes},  // in the place of the record's own size
            {"releaseThreshold", pool.release_threshold},
            {"timestamp", pool.time_ns},
            {"utilizedSize", pool.utilized_bytes},
            {"isManagedPool", pool.is_managed}};
  }
  Json operator()(const OverheadActivity& overhead) const {
    Json id = {{"processId", overhead.object_id[0]}, {"threadId", overhead.object_id[1]}};
    if (overhead.object_kind != 1 && overhead.object_kind != 2) {
      id = {{"deviceId", overhead.object_id[0]},
            {"contextId", overhead.object_id[1]},
            {"streamId", overhead.object_id[2]}};
    }
    return {{"overheadKind", overhead.overhead_kind},
            {"objectKind", overhead.object_kind},
            {"objectId", id},
            {"start", overhead.start_ns},
            {"end", overhead.end_ns},
            {"correlationId", overhead.correlation_id},
            {"reserved0", overhead.reserved},
            {"overheadData_pointer", overhead.data_pointer}};
  }
};

Json as_json(const DecodedActivities& decoded, std::size_t i) {
  Json json = std::visit(AsJson{}, decoded.records[i]);
  const std::uint32_t kind = activity_kind(decoded.records[i]);
  json["kind"] = kind;
  json["offset"] = decoded.offsets[i];
  if (!json.contains("size")) json["size"] = activity_bytes(kind);
  return json;
}

// The vectors' records without what only names them. `index` is the place among all records, which
// is the place among ours as long as none is of a kind that is stepped over.
std::vector<Json> expected_records(const Json& expected) {
  std::vector<Json> records = expected["records"];
  for (Json& record : records) {
    record.erase("index");
    record.erase("struct");
  }
  return records;
}

void check_decoding(const VectorFile& file, const DecodedActivities& decoded) {
  const Json& expected = file.expected;
  CHECK(file.bytes.size() == expected["file_bytes"]);
  CHECK(decoded.complete_bytes == expected["complete_bytes"]);
  CHECK(std::ssize(decoded.records) + decoded.skipped_records == expected["complete_records"]);
  CHECK(!decoded.unreadable);
  std::vector<Json> records = expected_records(expected);
  std::erase_if(records, [](const Json& record) {
    const DecodedActivities one = decode_activities(tests::blank_record(record["kind"]));
    return one.records.empty();
  });
  REQUIRE(decoded.records.size() == records.size());
  for (std::size_t i = 0; i < records.size(); ++i) CHECK(as_json(decoded, i) == records[i]);
  const Json tail = expected.value("truncated_tail", Json());
  REQUIRE(decoded.truncated.has_value() == !tail.is_null());
  if (tail.is_null()) return;
  CHECK(decoded.truncated->offset == tail["offset"]);
  CHECK(decoded.truncated->bytes_present == tail["bytes_present"]);
  CHECK(decoded.truncated->whole_bytes == tail["bytes_a_whole_record_has"]);
  CHECK(decoded.truncated->kind == tail["kind"].get<std::uint32_t>());
}

Json non_zero(const MemoryKindBytes& bytes) {
  Json json = Json::object();
  for (std::size_t kind = 0; kind < kMemoryKindCount; ++kind) {
    if (bytes[kind] != 0)
      json[to_string(MemoryKind{static_cast<std::uint32_t>(kind)})] = bytes[kind];
  }
  return json;
}

Json memory_meanings(const DecodedActivities& decoded, const ActivityBooks& books) {
  Json all = Json::array();
  for (const MemoryRecordMeaning& meaning : books.memory_records) {
    Json external = Json::object();
    for (const ExternalActivity& one : meaning.external) {
      external[std::to_string(one.external_kind)] = one.external_id;
    }
    Json api;
    if (meaning.api_index) {
      const auto& call =
          std::get<ApiActivity>(decoded.records[static_cast<std::size_t>(*meaning.api_index)]);
      api = {{"kind", call.kind}, {"cbid", call.callback_id}, {"returnValue", call.return_value}};
    }
    all.push_back({{"index", meaning.index}, {"external_ids_by_kind", external}, {"api", api}});
  }
  return all;
}

Json pairs_as_json(const ActivityBooks& books) {
  Json pairs = Json::array();
  for (const AllocationPair& pair : books.pairs) {
    pairs.push_back({{"alloc_index", pair.allocation_index},
                     {"release_index", pair.release_index},
                     {"bytes", pair.bytes},
                     {"lifetime_ns", pair.lifetime_ns}});
  }
  return pairs;
}

Json counts_by_kind(const DecodedActivities& decoded) {
  std::map<std::string, std::int64_t> counts;
  for (const Activity& record : decoded.records) ++counts[std::to_string(activity_kind(record))];
  return counts;
}

std::map<std::string, Json> meaning_as_json(const DecodedActivities& decoded) {
  const ActivityBooks books = activity_books(decoded.records);
  return {{"records_by_kind", counts_by_kind(decoded)},
          {"memory_records", memory_meanings(decoded, books)},
          {"pairs", pairs_as_json(books)},
          {"releases_without_allocation", books.releases_without_allocation},
          {"never_released", books.never_released},
          {"live_bytes_at_end", non_zero(books.live_at_end_bytes)},
          {"peak_live_bytes", non_zero(books.peak_live_bytes)},
          {"failed_api_calls", books.failed_api_calls}};
}

TEST_SUITE_BEGIN("vectors");

TEST_CASE("cupti vectors: every record, every field") {
  const char* named = std::getenv("SBP_CUPTI_DIR");
  if (named == nullptr || *named == '\0') {
    tests::VectorCase("SBP_CUPTI_DIR").skip("not set, so only the committed buffers are read");
  }
  for (const VectorFile& file : vector_files()) {
    tests::VectorCase one("cupti records " + file.name);
    check_decoding(file, decode_activities(file.bytes));
  }
}

TEST_CASE("cupti vectors: what the records mean") {
  for (const VectorFile& file : vector_files()) {
    const DecodedActivities decoded = decode_activities(file.bytes);
    tests::VectorCase meaning("cupti meaning " + file.name);
    const auto ours = meaning_as_json(decoded);
    for (const auto& [key, value] : file.expected["meaning"].items()) {
      if (key == "rule") continue;
      const auto found = ours.find(key);
      if (found == ours.end()) {
        tests::VectorCase("cupti meaning " + file.name + " " + key).skip("not known here");
        continue;
      }
      CHECK_MESSAGE(found->second == value, file.name, ": ", key);
    }
  }
}

TEST_CASE("cupti vectors: cut anywhere, all records before the cut are the same") {
  for (const VectorFile& file : vector_files()) {
    tests::VectorCase one("cupti cut " + file.name);
    const DecodedActivities whole = decode_activities(file.bytes);
    for (std::size_t bytes = 0; bytes < file.bytes.size(); ++bytes) {
      const auto part = decode_activities(std::span(file.bytes).first(bytes));
      const bool same =
          std::ranges::equal(part.records, std::span(whole.records).first(part.records.size()));
      CHECK_MESSAGE(same, bytes, " bytes");
      CHECK_MESSAGE(part.truncated.has_value() == (part.complete_bytes != bytes), bytes, " bytes");
      if (part.truncated) CHECK(part.complete_bytes + part.truncated->bytes_present == bytes);
    }
  }
}

TEST_SUITE_END();

}  // namespace
}  // namespace sbp::profiler
