#include "reports/checkpoint.h"

#include <nlohmann/json.hpp>
#include <variant>

#include "reports/json.h"
#include "reports/json_words.h"
#include "sbp/base/error.h"

namespace sbp::reports {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kSchema = "sbp-checkpoint";
constexpr int kMaximumDepth = 16;  // a report nests less

// Reads one document; holds what errors need to say.
class Reader {
 public:
  explicit Reader(std::string_view source) : source_(source) {}

  [[noreturn]] void fail(const std::string& what) const {
    throw Error(concat("cannot read checkpoint '", source_, "': ", what));
  }

  Json parse(std::string_view text) const {
    const auto limit_depth = [this](int depth, Json::parse_event_t, Json&) {
      if (depth > kMaximumDepth) fail("it nests deeper than a checkpoint does");
      return true;
    };
    try {
      return Json::parse(text.begin(), text.end(), limit_depth);
    } catch (const nlohmann::json::parse_error& error) {
      fail(concat("it is not JSON, or truncated, at byte ", error.byte));
    } catch (const nlohmann::json::exception&) {
      fail("it holds a number that is too large");
    }
  }

  const Json& member(const Json& object, const std::string& key) const {
    const auto found = object.is_object() ? object.find(key) : object.end();
    if (!object.is_object() || found == object.end()) fail(concat("'", key, "' is missing"));
    return *found;
  }

  std::string text(const Json& object, const std::string& key) const {
    const Json& value = member(object, key);
    if (!value.is_string()) fail(concat("'", key, "' is not a text"));
    return value.get<std::string>();
  }

  std::int64_t count(const Json& object, const std::string& key) const {
    const Json& value = member(object, key);
    constexpr std::uint64_t kMost = std::uint64_t{1} << 62;
    if (!value.is_number_unsigned() || value.get<std::uint64_t>() > kMost) {
      fail(concat("'", key, "' is not a whole number from 0"));
    }
    return value.get<std::int64_t>();
  }

  std::map<std::string, double> numbers(const Json& object, const std::string& key) const {
    const Json& value = member(object, key);
    if (!value.is_object()) fail(concat("'", key, "' is not an object"));
    std::map<std::string, double> numbers;
    for (const auto& item : value.items()) {
      if (!item.value().is_number()) fail(concat("'", key, ".", item.key(), "' is not a number"));
      numbers.emplace(item.key(), item.value().get<double>());
    }
    return numbers;
  }

  TrainReport report(const Json& object) const {
    AnyReport report = parse_report(member(object, "report").dump(), source_);
    if (auto* training = std::get_if<TrainReport>(&report)) return std::move(*training);
    fail("its report is not one of a training run");
  }

 private:
  std::string_view source_;
};

void check_kind(const Reader& reader, const Json& document) {
  const std::string schema = reader.text(document, "schema");
  if (schema != kSchema) reader.fail(concat("its schema is '", schema, "', not '", kSchema, "'"));
  const std::string version = reader.text(document, "schema_version");
  const std::string ours = kCheckpointVersion;
  if (version.substr(0, version.find('.')) != ours.substr(0, ours.find('.'))) {
    reader.fail(concat("its schema_version is '", version, "', this program reads '", ours, "'"));
  }
}

}  // namespace

std::string to_json(const Checkpoint& checkpoint) {
  Json object = Json::object();
  object["schema"] = kSchema;
  object["schema_version"] = kCheckpointVersion;
  object["step"] = checkpoint.step;
  object["epoch"] = checkpoint.epoch;
  object["batch_in_epoch"] = checkpoint.batch_in_epoch;
  object["tensors"] = {{"name", checkpoint.tensors.name},
                       {"bytes", checkpoint.tensors.bytes},
                       {"checksum", checkpoint.tensors.checksum}};
  object["scalars"] = checkpoint.scalars;
  object["report"] = Json::parse(to_json(checkpoint.report));
  return object.dump(1) + "\n";
}

Checkpoint parse_checkpoint(std::string_view json, std::string_view source) {
  const Reader reader(source);
  const Json document = reader.parse(json);
  check_kind(reader, document);
  const Json& tensors = reader.member(document, "tensors");
  return {.step = reader.count(document, "step"),
          .epoch = reader.count(document, "epoch"),
          .batch_in_epoch = reader.count(document, "batch_in_epoch"),
          .tensors = {.name = reader.text(tensors, "name"),
                      .bytes = reader.count(tensors, "bytes"),
                      .checksum = reader.text(tensors, "checksum")},
          .scalars = reader.numbers(document, "scalars"),
          .report = reader.report(document)};
}

}  // namespace sbp::reports
