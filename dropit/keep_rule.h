// Which elements of a saved tensor are kept: the rule, and how many that is. LibTorch-free.
//
// DropIT (ICLR 2023) keeps the elements of largest magnitude of a layer's input and computes the
// weight gradient from them. `gamma` is the part that is dropped.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "sbp/base/spec.h"
#include "sbp/random.h"

namespace sbp::dropit {

enum class Selection : std::uint8_t {
  mink,    // largest |x|; of equal ones those of lowest index
  random,  // any, drawn from the key
  nsigma,  // |x - mean| > sqrt(2) erfinv(gamma) deviation: how many depends on the data
  chunk,   // largest x (not |x|) of each 16,384 elements: DropIT's first version
};

// Elements among which a fixed number is kept.
enum class Scope : std::uint8_t {
  tensor,
  sample,  // of the first dimension
  row,     // of the last dimension; of an image [batch, channels, height, width], a channel's map
};

enum class IndexForm : std::uint8_t {
  int64,  // of each kept element, from the start of the tensor
  int32,
  mask,   // a bit an element
  block,  // of each kept element its place in a block of 256, and the count of each block
  seed,   // nothing: drawn again from the key
};
std::string_view to_string(IndexForm form);
IndexForm parse_index_form(std::string_view word);

struct KeepRule {
  Selection selection = Selection::mink;
  double gamma = 0.9;  // in [0, 1)
  Scope scope = Scope::tensor;
  IndexForm index = IndexForm::mask;
  bool unbiased = false;  // random: values times 1/p, so that their mean is the tensor
  bool released = false;  // counts are cut as the released code cuts them; none kept is allowed
};

// Codecs have specs of their own, which plans name: one schema a selection.
std::span<const SpecSchema> codec_schemas();
bool names_rule(const Spec& codec);
KeepRule rule_of(const Spec& codec);  // REQUIRES names_rule(codec)
Spec spec_of(const KeepRule& rule);

// Elements kept of `numel`: round(numel * (1 - gamma)), or int(numel * (1 - gamma)) in double
// arithmetic where the released code's counts are asked for (0 of 10 at gamma 0.9).
std::int64_t kept_count(std::int64_t numel, double gamma, bool released);

// Elements among which the rule keeps a number that is known beforehand: [begin(g), end(g)).
class Groups {
 public:
  // `sizes`: of the tensor. A random selection over a whole tensor is drawn in parts, so that they
  // can be drawn at the same time; how many each keeps is itself drawn from `key`.
  Groups(const KeepRule& rule, std::span<const std::int64_t> sizes, const StreamKey& key);

  std::int64_t numel() const { return numel_; }
  std::int64_t count() const { return count_; }
  std::int64_t begin(std::int64_t group) const { return group == count_ ? numel_ : group * size_; }
  std::int64_t end(std::int64_t group) const { return begin(group + 1); }
  // Elements kept in all groups before `group`; of count(): in all.
  std::int64_t kept_before(std::int64_t group) const;
  // For the selection that depends on the data this is what a normal distribution would keep.
  std::int64_t kept() const { return kept_before(count_); }
  // Elements over kept ones: what kept values are multiplied with to be unbiased.
  double scale() const { return static_cast<double>(numel_) / static_cast<double>(kept()); }

 private:
  std::int64_t numel_ = 1;
  std::int64_t size_ = 1;  // of all groups but the last
  std::int64_t count_ = 1;
  std::int64_t kept_of_size_ = 0;  // in a group of that size
  std::int64_t kept_of_last_ = 0;
  bool is_drawn_ = false;  // counts are shares of kept_of_last_, rounded at `offset_`
  double offset_ = 0.0;
};

}  // namespace sbp::dropit
