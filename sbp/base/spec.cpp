#include "sbp/base/spec.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <stdexcept>

#include "sbp/base/error.h"
#include "sbp/base/number.h"

namespace sbp {
namespace {

constexpr std::string_view kReserved = ",+:=\"";
// Limits of this size or more in a schema mean "no limit".
constexpr double kUnlimited = 1e300;

// " in (0, 1]", " of at least 1", " of at most 8", or nothing where all numbers are good.
std::string describe_limits(const KeySchema& schema) {
  const bool below = schema.minimum > -kUnlimited;
  const bool above = schema.maximum < kUnlimited;
  const std::string least = exact_text(schema.minimum);
  const std::string most = exact_text(schema.maximum);
  if (below && above) {
    return concat(" in ", schema.open_minimum ? "(" : "[", least, ", ", most,
                  schema.open_maximum ? ")" : "]");
  }
  if (below) return concat(schema.open_minimum ? " above " : " of at least ", least);
  return above ? concat(" of at most ", most) : "";
}

bool within_limits(double number, const KeySchema& schema) {
  if (schema.open_minimum ? number <= schema.minimum : number < schema.minimum) return false;
  if (schema.open_maximum && number >= schema.maximum) return false;
  return number <= schema.maximum;
}

std::vector<std::string> names_of(std::span<const SpecSchema> schemas) {
  std::vector<std::string> names;
  for (const SpecSchema& schema : schemas) names.push_back(schema.name);
  return names;
}

std::vector<std::string> keys_of(const SpecSchema& schema) {
  std::vector<std::string> keys;
  for (const KeySchema& key : schema.keys) keys.push_back(key.key);
  return keys;
}

const SpecSchema* find_schema(std::string_view name, std::span<const SpecSchema> schemas) {
  const auto found = std::ranges::find(schemas, name, &SpecSchema::name);
  return found == schemas.end() ? nullptr : &*found;
}

// Cuts `text` where `separates` says so outside double quotes. A quote inside a quoted value is
// written twice, so it closes and opens again and needs no care here.
template <typename Separates>
std::vector<std::string_view> split(std::string_view text, Separates separates) {
  std::vector<std::string_view> parts;
  std::size_t start = 0;
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '"') quoted = !quoted;
    if (quoted || !separates(i)) continue;
    parts.push_back(text.substr(start, i - start));
    start = i + 1;
  }
  parts.push_back(text.substr(start));
  return parts;
}

// `value` as it stands in a spec.
std::string spelled(const std::string& value) {
  if (value.find_first_of(kReserved) == std::string::npos) return value;
  std::string text = "\"";
  for (const char sign : value) {
    text += sign;
    if (sign == '"') text += '"';
  }
  return text + '"';
}

// Reads specs of one sort; holds what errors need to say.
class SpecParser {
 public:
  SpecParser(std::string_view text, std::string_view what, std::span<const SpecSchema> schemas)
      : text_(text), what_(what), schemas_(schemas) {}

  std::vector<Spec> parse() const {
    if (text_.empty()) {
      throw UsageError(concat("the ", what_, " is empty; known: ", join(names_of(schemas_))));
    }
    if (std::ranges::count(text_, '"') % 2 != 0) {
      throw UsageError(concat(what_, " '", text_, "' has a double quote that is never closed"));
    }
    if (text_.back() == '+') {
      throw UsageError(concat("nothing follows the last '+' of ", what_, " '", text_,
                              "'; leave it out, or put a value that ends so in double quotes"));
    }
    std::vector<Spec> specs;
    for (const std::string_view part : parts()) specs.push_back(parse_one(part));
    return specs;
  }

  // The text with the key set; see with_key.
  std::optional<std::string> with_key(const KeySetting& setting) const {
    const SpecSchema& schema = schema_of(setting.spec);
    const std::vector<std::string> keys = keys_of(schema);
    if (std::ranges::find(keys, setting.key) == keys.end()) {
      throw UsageError(unknown_word(concat(schema.name, " key"), setting.key, keys));
    }
    bool found = false;
    std::vector<std::string> changed;
    for (const std::string_view part : parts()) {
      const bool is_named = part.substr(0, part.find(':')) == setting.spec;
      changed.push_back(is_named ? part_with_key(part, setting) : std::string(part));
      found = found || is_named;
    }
    if (!found) return std::nullopt;
    return join(changed, "+");
  }

 private:
  std::vector<std::string_view> parts() const {
    return split(text_, [this](auto i) { return separates(i); });
  }

  static std::string part_with_key(std::string_view part, const KeySetting& setting) {
    const std::string pair = setting.key + "=" + spelled(setting.value);
    const std::size_t colon = part.find(':');
    if (colon == std::string_view::npos) return std::string(part) + ":" + pair;
    const std::string_view pairs = part.substr(colon + 1);
    std::vector<std::string> kept;
    bool found = false;
    for (const std::string_view old : split(pairs, [&](auto i) { return pairs[i] == ','; })) {
      const bool is_key = old.substr(0, old.find('=')) == setting.key;
      kept.push_back(is_key ? pair : std::string(old));
      found = found || is_key;
    }
    if (!found) kept.push_back(pair);
    return concat(part.substr(0, colon), ":", join(kept, ","));
  }

  // Is the sign at `position` a '+' before a registered name?
  bool separates(std::size_t position) const {
    if (text_[position] != '+') return false;
    const std::string_view rest = text_.substr(position + 1);
    return find_schema(rest.substr(0, rest.find_first_of(":+")), schemas_) != nullptr;
  }

  Spec parse_one(std::string_view part) const {
    const std::size_t colon = part.find(':');
    const SpecSchema& schema = schema_of(part.substr(0, colon));
    Spec spec{schema.name, {}};
    for (const KeySchema& key : schema.keys) spec.values.emplace_back(key.key, key.default_value);
    if (colon == std::string_view::npos) return spec;

    const std::string_view pairs = part.substr(colon + 1);
    std::vector<bool> given(schema.keys.size(), false);
    for (const std::string_view pair : split(pairs, [&](auto i) { return pairs[i] == ','; })) {
      set_value(pair, schema, spec, given);
    }
    return spec;
  }

  const SpecSchema& schema_of(std::string_view name) const {
    if (const SpecSchema* schema = find_schema(name, schemas_)) return *schema;
    if (name.empty()) {
      throw UsageError(concat("a name is missing in ", what_, " '", text_,
                              "'; known: ", join(names_of(schemas_))));
    }
    // Of `sbp+qant` only the second word is wrong.
    while (name.find('+') != std::string_view::npos) {
      const std::string_view word = name.substr(0, name.find('+'));
      if (find_schema(word, schemas_) == nullptr) {
        name = word;
        break;
      }
      name.remove_prefix(word.size() + 1);
    }
    throw UsageError(unknown_word(what_, name, names_of(schemas_)));
  }

  void set_value(std::string_view pair, const SpecSchema& schema, Spec& spec,
                 std::vector<bool>& given) const {
    const std::vector<std::string> keys = keys_of(schema);
    if (pair.empty()) {
      throw UsageError(concat("a key=value is missing after ':' or ',' in ", what_, " '", text_,
                              "'; keys of ", schema.name, ": ",
                              keys.empty() ? "none" : join(keys)));
    }
    const std::size_t equals = pair.find('=');
    const std::string_view key = pair.substr(0, equals);
    const auto found = std::ranges::find(schema.keys, key, &KeySchema::key);
    if (found == schema.keys.end()) {
      throw UsageError(unknown_word(concat(schema.name, " key"), key, keys));
    }
    const std::string subject = concat(what_, " ", schema.name, ":", key);
    if (equals == std::string_view::npos) {
      throw UsageError(concat(subject, " has no value; write ", key, "=VALUE"));
    }
    const auto index = static_cast<std::size_t>(found - schema.keys.begin());
    if (given[index]) throw UsageError(concat(subject, " is given twice in '", text_, "'"));
    given[index] = true;
    std::string value = unquote(pair.substr(equals + 1), subject);
    check_value(value, *found, subject);
    spec.values[index].second = std::move(value);
  }

  static std::string unquote(std::string_view value, const std::string& subject) {
    if (value.find('"') == std::string_view::npos) return std::string(value);
    const UsageError misplaced(concat(
        "double quotes stand around the whole value or nowhere: ", subject, " is '", value, "'"));
    if (value.size() < 2 || value.front() != '"' || value.back() != '"') throw misplaced;
    std::string plain;
    const std::string_view inside = value.substr(1, value.size() - 2);
    for (std::size_t i = 0; i < inside.size(); ++i) {
      plain += inside[i];
      if (inside[i] != '"') continue;
      if (++i == inside.size() || inside[i] != '"') throw misplaced;
    }
    return plain;
  }

  void check_value(const std::string& value, const KeySchema& schema,
                   const std::string& subject) const {
    // An empty value would not survive to_string if the key had a default to fall back on.
    if (value.empty() && (schema.kind != ValueKind::text || !schema.default_value.empty())) {
      throw UsageError(concat(subject, " is empty; give a value or leave the key out"));
    }
    switch (schema.kind) {
      case ValueKind::integer: return check_integer(value, schema, subject);
      case ValueKind::real: return check_real(value, schema, subject);
      case ValueKind::word:
        if (std::ranges::find(schema.words, value) == schema.words.end()) {
          throw UsageError(unknown_word(subject, value, schema.words) + hint(value));
        }
        return;
      case ValueKind::text: return;
    }
  }

  void check_integer(const std::string& value, const KeySchema& schema,
                     const std::string& subject) const {
    std::int64_t number = 0;
    const std::errc state = parse_number(value, number);
    if (state == std::errc() && within_limits(static_cast<double>(number), schema)) return;
    const std::string wanted = concat(" must be a whole number", describe_limits(schema));
    throw UsageError(concat(subject, wanted, ", not '", value, "'", hint(value)));
  }

  void check_real(const std::string& value, const KeySchema& schema,
                  const std::string& subject) const {
    double number = 0.0;
    const std::errc state = parse_number(value, number);
    if (state == std::errc() && std::isfinite(number) && within_limits(number, schema)) {
      return;
    }
    const std::string wanted = concat(" must be a number", describe_limits(schema));
    throw UsageError(concat(subject, wanted, ", not '", value, "'", hint(value)));
  }

  // What a '+' inside a value that should have none was probably meant to be.
  std::string hint(std::string_view value) const {
    const std::size_t plus = value.find('+');
    if (plus == std::string_view::npos) return "";
    const std::string_view rest = value.substr(plus + 1);
    const std::string_view word = rest.substr(0, rest.find_first_of(":+,"));
    return concat(" (after '+': ", unknown_word(what_, word, names_of(schemas_)), ")");
  }

  std::string_view text_;
  std::string_view what_;
  std::span<const SpecSchema> schemas_;
};

}  // namespace

KeySchema word_key(std::string key, std::vector<std::string> words, std::string help) {
  return {.key = std::move(key),
          .kind = ValueKind::word,
          .default_value = words.front(),
          .help = std::move(help),
          .words = words};
}

const std::string& Spec::text(std::string_view key) const {
  for (const auto& [known, value] : values) {
    if (known == key) return value;
  }
  throw std::out_of_range(concat("spec '", name, "' has no key '", key, "'"));
}

std::int64_t Spec::integer(std::string_view key) const {
  std::int64_t number = 0;
  if (parse_number(text(key), number) == std::errc()) return number;
  throw std::out_of_range(concat("key '", key, "' of spec '", name, "' is not a whole number"));
}

double Spec::real(std::string_view key) const {
  double number = 0.0;
  if (parse_number(text(key), number) == std::errc()) return number;
  throw std::out_of_range(concat("key '", key, "' of spec '", name, "' is not a number"));
}

Spec parse_spec(std::string_view text, std::string_view what, std::span<const SpecSchema> schemas) {
  std::vector<Spec> specs = SpecParser(text, what, schemas).parse();
  if (specs.size() != 1) {
    throw UsageError(
        concat("'", text, "' joins ", specs.size(), " specs; only one ", what, " can be given"));
  }
  return std::move(specs.front());
}

std::vector<Spec> parse_specs(std::string_view text, std::string_view what,
                              std::span<const SpecSchema> schemas) {
  return SpecParser(text, what, schemas).parse();
}

std::optional<std::string> with_key(std::string_view text, std::string_view what,
                                    std::span<const SpecSchema> schemas,
                                    const KeySetting& setting) {
  (void)parse_specs(text, what, schemas);
  std::optional<std::string> changed = SpecParser(text, what, schemas).with_key(setting);
  if (changed) (void)parse_specs(*changed, what, schemas);
  return changed;
}

void fill_zero(Spec& spec, std::string_view key, std::int64_t value) {
  for (auto& [name, text] : spec.values) {
    if (name == key && text == "0") text = std::to_string(value);
  }
}

void fill_auto(Spec& spec, std::string_view key, std::string_view value) {
  for (auto& [name, text] : spec.values) {
    if (name == key && text == "auto") text = value;
  }
}

std::string to_string(const Spec& spec) {
  std::string text = spec.name;
  char separator = ':';
  for (const auto& [key, value] : spec.values) {
    if (value.empty()) continue;
    text += separator;
    text += key;
    text += '=';
    separator = ',';
    text += spelled(value);
  }
  return text;
}

std::string to_string(std::span<const Spec> specs) {
  std::vector<std::string> parts;
  for (const Spec& spec : specs) parts.push_back(to_string(spec));
  return join(parts, "+");
}

std::vector<std::string> parse_list(std::string_view value) {
  const UsageError malformed(concat(
      "'", value, "' is not a list; write one value, or several as [a;b;c], in quotes in a shell"));
  std::string_view inside = value;
  if (value.starts_with('[')) {
    if (!value.ends_with(']')) throw malformed;
    inside = value.substr(1, value.size() - 2);
  } else if (value.find(';') != std::string_view::npos) {
    throw malformed;
  }
  std::vector<std::string> items;
  for (std::size_t start = 0; start <= inside.size();) {
    const std::size_t end = std::min(inside.find(';', start), inside.size());
    const std::string_view item = inside.substr(start, end - start);
    if (item.empty() || item.find_first_of("[]") != std::string_view::npos) throw malformed;
    items.emplace_back(item);
    start = end + 1;
  }
  return items;
}

IntegerRange parse_range(std::string_view value) {
  const std::size_t dash = value.find('-');
  const std::string_view first = value.substr(0, dash);
  const std::string_view last = dash == std::string_view::npos ? first : value.substr(dash + 1);
  IntegerRange range;
  if (parse_number(first, range.first) != std::errc() ||
      parse_number(last, range.last) != std::errc() || range.last < 0 || range.first > range.last) {
    throw UsageError(
        concat("'", value, "' is not a range; write 7, or 4-11 with the smaller number first"));
  }
  return range;
}

}  // namespace sbp
