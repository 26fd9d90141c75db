// Long loops in blocks of fixed size, so that sums are the same on any number of threads.
#pragma once

#include <ATen/Parallel.h>

#include <algorithm>
#include <cstdint>
#include <vector>

namespace sbp::experiments {

// What body(first, count) gives for each block of `size` elements, in order; blocks run in
// parallel.
template <typename Result, typename Body>
std::vector<Result> over_blocks(std::int64_t size, Body body) {
  constexpr std::int64_t kBlock = 1 << 15;  // elements
  const std::int64_t count = (size + kBlock - 1) / kBlock;
  std::vector<Result> results(static_cast<std::size_t>(count));
  at::parallel_for(0, count, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t block = begin; block < end; ++block) {
      const std::int64_t first = block * kBlock;
      results[static_cast<std::size_t>(block)] = body(first, std::min(kBlock, size - first));
    }
  });
  return results;
}

}  // namespace sbp::experiments
