#include "cli/schema_text.h"

#include <algorithm>

#include "reports/format.h"
#include "reports/table.h"
#include "sbp/base/error.h"

namespace sbp::cli {
namespace {

// Bounds this wide stand for none.
constexpr double kUnbounded = 1e18;

std::string bounds_text(const KeySchema& key) {
  std::string text;
  if (key.minimum > -kUnbounded) {
    text += concat(key.open_minimum ? " above " : " from ", key.minimum);
  }
  if (key.maximum < kUnbounded) text += concat(" to ", key.maximum);
  return text;
}

std::string values_text(const KeySchema& key) {
  switch (key.kind) {
    case ValueKind::integer: return "whole number" + bounds_text(key);
    case ValueKind::real: return "number" + bounds_text(key);
    case ValueKind::word: return join(key.words, "|");
    case ValueKind::text: break;
  }
  return "text";
}

}  // namespace

std::string schemas_text(std::span<const SpecSchema> schemas) {
  std::string text;
  for (const SpecSchema& schema : schemas) {
    text += concat(schema.name, "  ", schema.summary, "\n");
    reports::Table table({{""}, {""}, {""}});
    for (const KeySchema& key : schema.keys) {
      table.add({key.key + "=" + key.default_value, values_text(key), key.help});
    }
    text += table.text(4);
  }
  return text;
}

std::string schemas_of_same_keys_text(std::span<const SpecSchema> schemas) {
  const std::vector<KeySchema>& keys = schemas.front().keys;
  const auto differs = [&](std::size_t key) {
    return std::ranges::any_of(schemas, [&](const SpecSchema& schema) {
      return schema.keys[key].default_value != keys[key].default_value;
    });
  };
  reports::Table names({{""}, {""}, {""}});
  for (const SpecSchema& schema : schemas) {
    std::vector<std::string> own;
    for (std::size_t key = 0; key < keys.size(); ++key) {
      if (!differs(key)) continue;
      own.push_back(concat(keys[key].key, "=", schema.keys[key].default_value));
    }
    names.add({schema.name, schema.summary, join(own, ",")});
  }
  reports::Table table({{""}, {""}, {""}});
  for (std::size_t key = 0; key < keys.size(); ++key) {
    table.add({differs(key) ? keys[key].key : concat(keys[key].key, "=", keys[key].default_value),
               values_text(keys[key]), keys[key].help});
  }
  return names.text() + "each with\n" + table.text(4);
}

}  // namespace sbp::cli
