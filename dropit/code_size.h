// Bytes of a packed tensor, and the form of index that needs the fewest. LibTorch-free.
#pragma once

#include <cstdint>
#include <string>

#include "dropit/keep_rule.h"

namespace sbp::dropit {

inline constexpr std::int64_t kBlock = 256;  // elements whose places fit a byte each

// Of `kept` of `numel` elements: int64 8k, int32 4k, mask ceil(n / 8), block k + 2 ceil(n / 256),
// seed 0.
std::int64_t index_bytes(IndexForm form, std::int64_t numel, std::int64_t kept);

// An element's share of them where `part` of a large tensor is kept.
double index_bytes_an_element(IndexForm form, double part);

// The form that needs the fewest bytes at this rule's gamma; `seed` for a random selection.
IndexForm cheapest_index(const KeepRule& rule);

// A sentence where the code of elements of `value_bytes` each takes at least what it stands for,
// with both figures; else empty. `subject` begins it.
std::string size_warning(const std::string& subject, const KeepRule& rule, int value_bytes);

}  // namespace sbp::dropit
