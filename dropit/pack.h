// Packing kept elements together with what says where they were, and putting them back. Raw
// memory, no LibTorch; the same for any number of threads.
//
// Kept elements lie in ascending order of their place in the tensor.
#pragma once

#include <cstdint>
#include <functional>

#include "dropit/element.h"
#include "dropit/keep_rule.h"
#include "dropit/workers.h"

namespace sbp::dropit {

// Parts of a packed tensor of n elements, k of them kept; those that the index form lacks are null.
struct Parts {
  void* values = nullptr;  // k elements
  // int64 [k], int32 [k], bytes [ceil(n / 8)] with element i in bit i % 8 of byte i / 8, or bytes
  // [k] with the place in a block of 256.
  void* index = nullptr;
  std::int16_t* counts = nullptr;  // block: of each block of 256, [ceil(n / 256)]
};

struct PackJob {
  ElementType type = ElementType::f32;
  KeepRule rule;
  Groups groups;
  StreamKey key;  // of a random selection
};

// `data`: groups.numel() elements. `allocate` is called once, with the number of kept elements,
// and gives the memory that is filled; it is not called for an empty tensor.
void pack(const PackJob& job, const void* data,
          const std::function<Parts(std::int64_t kept)>& allocate, const Workers& workers);

// Writes all of `data`: kept values where they were, zero elsewhere. `kept`: how many there are.
void unpack(const PackJob& job, const Parts& parts, std::int64_t kept, void* data,
            const Workers& workers);

}  // namespace sbp::dropit
