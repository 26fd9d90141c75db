// safetensors files.
#include "experiments/data/safetensors.h"

#include "tests/fuzz/target.h"

namespace fuzz = sbp::tests::fuzz;

SBP_FUZZ_TARGET(safetensors) {
  const fuzz::InputFile file(input);
  fuzz::refused_or([&] {
    const sbp::experiments::SafetensorsFile stored(file.path());
    std::size_t bytes = 0;
    unsigned sum = 0;
    for (const auto& [name, tensor] : stored.tensors()) {
      std::size_t elements = 1;
      for (const std::int64_t size : tensor.shape) elements *= static_cast<std::size_t>(size);
      fuzz::require(elements == 0 || tensor.data.size() % elements == 0,
                    "whole elements of one size");
      for (const std::byte byte : tensor.data) sum += std::to_integer<unsigned>(byte);
      bytes += tensor.data.size();
    }
    fuzz::require(bytes <= input.size() - 8, "no byte belongs to two tensors");
    fuzz::require(sum <= 255 * bytes, "bytes can be read");
  });
}
