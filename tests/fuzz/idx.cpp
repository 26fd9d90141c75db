// IDX arrays, gzipped or plain. The first byte says how many dimensions are asked for.
#include "experiments/data/idx.h"

#include "tests/fuzz/target.h"

namespace fuzz = sbp::tests::fuzz;

SBP_FUZZ_TARGET(idx) {
  if (input.empty()) return;
  const int dimensions = 1 + input[0] % 4;
  const fuzz::InputFile file(input.subspan(1));
  fuzz::refused_or([&] {
    const auto array = sbp::experiments::read_idx(file.path(), dimensions);
    fuzz::require(array.sizes.size() == static_cast<std::size_t>(dimensions),
                  "as many sizes as dimensions");
    std::int64_t product = 1;
    for (const std::int64_t size : array.sizes) product *= size;
    fuzz::require(product == std::ssize(array.bytes), "as many bytes as the product of the sizes");
  });
}
