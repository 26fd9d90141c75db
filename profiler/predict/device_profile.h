// What is known of a GPU and of the libraries on it, each as a named rule.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sbp/base/spec.h"

namespace sbp::predict {

struct DeviceProfile {
  std::string name = "a100";
  std::int64_t memory_bytes = 0;  // that CUDA says it has in all

  // What the process holds beside the caching allocator.
  std::int64_t context_bytes = 0;      // of the CUDA context, kernels loaded at its start included
  std::int64_t kernel_code_bytes = 0;  // of kernels loaded when they first run
  std::int64_t library_bytes = 0;      // handles of cuBLAS and cuDNN

  // What libraries take from the caching allocator.
  std::int64_t cublas_workspace_bytes = 0;  // one a thread that multiplies matrices, kept
  // Of a product with a bias, while it runs; 0: it uses the other's, which is 2.14's default.
  std::int64_t cublas_lt_workspace_bytes = 0;
  int compute_capability = 80;   // 86: 8.6
  bool depthwise_copies = true;  // see scratch.h

  std::string torch = "2";  // whose behaviour: "1.8", "2"; see keeps_softmax_input
};

// Up to PyTorch 1.10 autograd kept what softmax read, beside its result (pytorch#64000).
bool keeps_softmax_input(const DeviceProfile& profile);

// Names of cards, and keys that every one of them has.
const std::vector<SpecSchema>& device_schemas();

// "a100", "rtx3060:memory=8GiB". Throws UsageError.
DeviceProfile parse_device_profile(std::string_view text);

// The resolved spec: parse_device_profile of it gives an equal profile.
std::string to_string(const DeviceProfile& profile);

}  // namespace sbp::predict
