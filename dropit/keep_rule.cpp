#include "dropit/keep_rule.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <stdexcept>
#include <string>

#include "sbp/base/error.h"
#include "sbp/base/number.h"
#include "sbp/base/words.h"

namespace sbp::dropit {
namespace {

constexpr std::int64_t kChunk = 16'384;
constexpr std::int64_t kDrawnTogether = 65'536;

constexpr std::array<std::string_view, 4> kSelections{"mink", "random", "nsigma", "chunk"};
constexpr std::array<std::string_view, 3> kScopes{"tensor", "sample", "row"};
constexpr std::array<std::string_view, 5> kIndexForms{"int64", "int32", "mask", "block", "seed"};

// For words that a schema has let through.
template <typename Word, std::size_t count>
Word parse_word(std::string_view word, const std::array<std::string_view, count>& words) {
  if (const auto value = value_of<Word>(words, word)) return *value;
  throw std::out_of_range(concat("no such word: '", word, "'"));
}

SpecSchema schema_of(Selection selection) {
  std::vector<std::string> forms{"mask", "block", "int32", "int64"};
  if (selection == Selection::random) forms.emplace_back("seed");
  return {.name = std::string(word_of(kSelections, selection)),
          .summary = "keeps some elements of a tensor",
          .keys = {{.key = "gamma",
                    .kind = ValueKind::real,
                    .default_value = "0.9",
                    .help = "part that is dropped",
                    .minimum = 0.0,
                    .maximum = 1.0,
                    .open_maximum = true},
                   word_key("scope", {"tensor", "sample", "row"}, "elements that compete"),
                   word_key("index", std::move(forms), "how places are kept"),
                   word_key("unbiased", {"no", "yes"}, "values times 1/p"),
                   word_key("count", {"rounded", "released"}, "how the count is rounded")}};
}

// Elements of one group.
std::int64_t group_size(const KeepRule& rule, std::span<const std::int64_t> sizes,
                        std::int64_t numel) {
  if (rule.selection == Selection::chunk) return kChunk;
  if (rule.scope == Scope::tensor) {
    return rule.selection == Selection::random ? kDrawnTogether : numel;
  }
  if (sizes.empty()) return numel;
  if (rule.scope == Scope::sample) return numel / sizes.front();
  return sizes.size() == 4 ? sizes[2] * sizes[3] : sizes.back();
}

}  // namespace

std::string_view to_string(IndexForm form) {
  return word_of(kIndexForms, form);
}

IndexForm parse_index_form(std::string_view word) {
  return parse_word<IndexForm>(word, kIndexForms);
}

std::span<const SpecSchema> codec_schemas() {
  static const std::vector<SpecSchema> schemas = {
      schema_of(Selection::mink), schema_of(Selection::random), schema_of(Selection::nsigma),
      schema_of(Selection::chunk)};
  return schemas;
}

bool names_rule(const Spec& codec) {
  return value_of<Selection>(kSelections, codec.name).has_value();
}

KeepRule rule_of(const Spec& codec) {
  return {.selection = parse_word<Selection>(codec.name, kSelections),
          .gamma = codec.real("gamma"),
          .scope = parse_word<Scope>(codec.text("scope"), kScopes),
          .index = parse_index_form(codec.text("index")),
          .unbiased = codec.text("unbiased") == "yes",
          .released = codec.text("count") == "released"};
}

Spec spec_of(const KeepRule& rule) {
  // Keys without a value are not printed.
  return {std::string(word_of(kSelections, rule.selection)),
          {{"gamma", exact_text(rule.gamma)},
           {"scope", std::string(word_of(kScopes, rule.scope))},
           {"index", std::string(to_string(rule.index))},
           {"unbiased", rule.unbiased ? "yes" : ""},
           {"count", rule.released ? "released" : ""}}};
}

std::int64_t kept_count(std::int64_t numel, double gamma, bool released) {
  const double kept = static_cast<double>(numel) * (1.0 - gamma);
  return released ? static_cast<std::int64_t>(kept) : std::llround(kept);
}

Groups::Groups(const KeepRule& rule, std::span<const std::int64_t> sizes, const StreamKey& key) {
  for (const std::int64_t size : sizes) numel_ *= size;
  if (numel_ == 0) {
    count_ = 0;
    return;
  }
  size_ = std::min(group_size(rule, sizes, numel_), numel_);
  count_ = (numel_ + size_ - 1) / size_;
  is_drawn_ = rule.selection == Selection::random && rule.scope == Scope::tensor;
  if (is_drawn_) {
    kept_of_last_ = kept_count(numel_, rule.gamma, rule.released);
    // Of one group nothing needs drawing.
    if (count_ > 1) offset_ = RandomStream(key).uniform();
    return;
  }
  const std::int64_t last = numel_ - (count_ - 1) * size_;
  const bool cut = rule.released || rule.selection == Selection::chunk;
  kept_of_size_ = kept_count(size_, rule.gamma, cut);
  kept_of_last_ = kept_count(last, rule.gamma, cut);
}

std::int64_t Groups::kept_before(std::int64_t group) const {
  if (group == 0) return 0;
  if (!is_drawn_) {
    return group < count_ ? group * kept_of_size_ : (count_ - 1) * kept_of_size_ + kept_of_last_;
  }
  if (group == count_) return kept_of_last_;
  // Systematic sampling: each group's mean count is its exact share, and the sum is never off.
  const double share = static_cast<double>(begin(group)) / static_cast<double>(numel_);
  return static_cast<std::int64_t>(static_cast<double>(kept_of_last_) * share + offset_);
}

}  // namespace sbp::dropit
