// What the JSON readers of all kinds of report share. Private to reports/*.cpp.
#pragma once

#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "reports/report.h"
#include "sbp/base/error.h"

namespace sbp::reports {

using Json = nlohmann::ordered_json;

// Throws Error naming `source`, a file of the kind `what`: empty, truncated, not JSON, NaN, a
// number that is too large.
Json parse_json(std::string_view text, std::string_view source, std::string_view what = "report");

// One value of the document, and the way to it for messages. Every reading member throws Error
// where the value is of another form.
class Node {
 public:
  Node(const Json& value, std::string_view source) : value_(&value), source_(source) {}

  [[noreturn]] void fail(const std::string& what) const {
    throw Error(concat("cannot read report ", "'", source_, "'", ": ", path_.empty() ? "it" : path_,
                       " ", what));
  }

  Node operator[](const std::string& key) const {
    require(value_->is_object(), "an object");
    const auto found = value_->find(key);
    const Node child(found == value_->end() ? *value_ : *found, source_,
                     path_.empty() ? key : path_ + "." + key);
    if (found == value_->end()) child.fail("is missing");
    return child;
  }

  bool has(const std::string& key) const { return value_->is_object() && value_->contains(key); }
  bool is_null() const { return value_->is_null(); }

  std::int64_t integer() const {
    require(value_->is_number_integer(), "a whole number");
    if (value_->is_number_unsigned() && value_->get<std::uint64_t>() > kLargest) {
      fail("is too large for a whole number of 64 bits");
    }
    return value_->get<std::int64_t>();
  }

  // A size or a number of things.
  std::int64_t count() const {
    const std::int64_t value = integer();
    if (value < 0) fail(concat("is ", value, "; it must not be negative"));
    return value;
  }

  bool boolean() const {
    require(value_->is_boolean(), "true or false");
    return value_->get<bool>();
  }

  std::string text() const {
    require(value_->is_string(), "a text");
    return value_->get<std::string>();
  }

  std::vector<Node> elements() const {
    require(value_->is_array(), "a list");
    std::vector<Node> nodes;
    nodes.reserve(value_->size());
    for (const Json& element : *value_) {
      nodes.push_back(Node(element, source_, concat(path_, "[", nodes.size(), "]")));
    }
    return nodes;
  }

  // Calls function(key, child) for each member.
  template <typename Function>
  void each_member(Function function) const {
    require(value_->is_object(), "an object");
    for (const auto& item : value_->items()) {
      function(item.key(), Node(item.value(), source_, path_ + "." + item.key()));
    }
  }

  double real() const {
    require(value_->is_number(), "a number");
    return value_->get<double>();
  }

  ConfigurationValue scalar() const {
    if (value_->is_number_integer()) return integer();
    if (value_->is_number()) return real();
    if (value_->is_boolean()) return boolean();
    return text();
  }

 private:
  static constexpr std::uint64_t kLargest = std::numeric_limits<std::int64_t>::max();

  Node(const Json& value, std::string_view source, std::string path)
      : value_(&value), source_(source), path_(std::move(path)) {}

  void require(bool right, std::string_view wanted) const {
    if (!right) fail(concat("must be ", wanted, ", not ", value_->type_name()));
  }

  const Json* value_;
  std::string_view source_;
  std::string path_;
};

// A number that may be null with a reason; NaN and the infinities come back as they were.
std::optional<double> optional_real(const Node& object, const std::string& key);
// NaN where it is null.
double real(const Node& object, const std::string& key);
std::string text_or_empty(const Node& object, const std::string& key);
std::string read_text(const Node& node);

template <typename Read>
auto optional_part(const Node& object, const std::string& key, Read read)
    -> std::optional<decltype(read(object))> {
  const Node value = object[key];
  if (value.is_null()) return std::nullopt;
  return read(value);
}

// The same for a key that reports of earlier versions lack.
template <typename Read>
auto later_part(const Node& object, const std::string& key, Read read)
    -> std::optional<decltype(read(object))> {
  if (!object.has(key)) return std::nullopt;
  return optional_part(object, key, read);
}

template <typename Read>
auto list(const Node& array, Read read) -> std::vector<decltype(read(array))> {
  std::vector<decltype(read(array))> values;
  for (const Node& element : array.elements()) values.push_back(read(element));
  return values;
}

template <typename Word>
Word word_of(const Node& node, int count) {
  const std::string text = node.text();
  std::vector<std::string> known;
  for (int i = 0; i < count; ++i) {
    const Word word = static_cast<Word>(i);
    if (to_string(word) == text) return word;
    known.emplace_back(to_string(word));
  }
  node.fail(concat("is ", "'", text, "'", ", not one of ", join(known)));
}

Header read_header(const Node& document);
ModelFacts read_model(const Node& node);
StrategyOutcome read_strategy(const Node& node);
PlanEntry read_plan_entry(const Node& node);
profiler::CategoryBytes read_categories(const Node& node);
profiler::SavedBytes read_saved(const Node& node);
profiler::SavedBytes read_layer_saved(const Node& layer);
SweepReport read_sweep(const Node& document);

}  // namespace sbp::reports
