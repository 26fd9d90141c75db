// The one spelling for strategies, models, data, optimizers: `name:key=value,key=value`, joined
// by `+` (which separates only before a registered name).
//
// Values: plain words and numbers, lists `[a;b;c]`, ranges `4-11`, ramps `0.25..0.75`; a value
// with reserved signs (`,` `+` `:` `=` `"`) stands in double quotes.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sbp {

enum class ValueKind : std::uint8_t {
  integer,  // base 10, within [minimum, maximum]
  real,     // finite, within [minimum, maximum] (or above `minimum` where `open_minimum`)
  word,     // one of `words`
  text,     // anything
};

// One key a spec may have.
struct KeySchema {
  std::string key;
  ValueKind kind = ValueKind::text;
  std::string default_value;  // in the grammar's own spelling; empty text means "not set"
  std::string help;
  std::vector<std::string> words = {};  // for ValueKind::word
  double minimum = -1e300;
  double maximum = 1e300;
  bool open_minimum = false;  // `minimum` itself is not allowed
  bool open_maximum = false;
};

// A key that takes one of `words`, the first by default.
KeySchema word_key(std::string key, std::vector<std::string> words, std::string help);

// One registered name.
struct SpecSchema {
  std::string name;
  std::string summary;  // one line for --help
  std::vector<KeySchema> keys;
};

// A parsed and checked spec: every key of its schema is present, in the schema's order.
class Spec {
 public:
  std::string name;
  std::vector<std::pair<std::string, std::string>> values;

  // Throw std::out_of_range for a key the schema does not have: a programming error.
  const std::string& text(std::string_view key) const;
  std::int64_t integer(std::string_view key) const;
  double real(std::string_view key) const;

  bool operator==(const Spec&) const = default;
};

// Parses one spec. `what` names it in errors ("model", "strategy"). Throws UsageError with the
// known names or keys, the nearest one, and the range a number must be in.
Spec parse_spec(std::string_view text, std::string_view what, std::span<const SpecSchema> schemas);

// Parses specs joined by `+`; at least one.
std::vector<Spec> parse_specs(std::string_view text, std::string_view what,
                              std::span<const SpecSchema> schemas);

// One key of the specs of one name.
struct KeySetting {
  std::string spec;  // the name
  std::string key;
  std::string value;
};

// `text` with that key set in each of its specs that has the name; all else as it was typed.
// Nothing where none has it. Throws UsageError where parse_specs would, of `text` and of what it
// becomes, and for a name or key that no schema has.
std::optional<std::string> with_key(std::string_view text, std::string_view what,
                                    std::span<const SpecSchema> schemas, const KeySetting& setting);

// Gives `key` the value `value` where it is 0 and so was left to somebody else.
void fill_zero(Spec& spec, std::string_view key, std::int64_t value);
// The same for a word that is "auto".
void fill_auto(Spec& spec, std::string_view key, std::string_view value);

// The resolved spelling, all keys filled in; parse_spec of it gives an equal Spec.
std::string to_string(const Spec& spec);
std::string to_string(std::span<const Spec> specs);

// Values inside a spec. Each throws UsageError naming `value` and the form that would be right.
std::vector<std::string> parse_list(std::string_view value);  // "[a;b]" or a single "a"
struct IntegerRange {
  std::int64_t first = 0;
  std::int64_t last = 0;  // inclusive
};
IntegerRange parse_range(std::string_view value);  // "4-11" or "7"

}  // namespace sbp
