// Options and operations drawn at random, for tests that hold for all of them.
#pragma once

#include <cstdint>
#include <random>

#include "profiler/predict/allocator_options.h"

namespace sbp::predict::tests {

// Any that PyTorch would take; limits so tight that requests fail.
AllocatorOptions random_options(std::mt19937& random);

// From 1 byte to some ten MiB, often at the sizes where the rules change.
std::int64_t random_request(std::mt19937& random);

// One of `values`.
template <typename Value, std::size_t count>
Value one_of(std::mt19937& random, const Value (&values)[count]) {
  return values[random() % count];
}

inline bool one_in(std::mt19937& random, unsigned count) {
  return random() % count == 0;
}

}  // namespace sbp::predict::tests
