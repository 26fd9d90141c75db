// Sums over the elements of an approximate gradient h and the exact one g.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "reports/report.h"

namespace sbp::experiments {

struct GradientSums {
  double hg = 0.0;  // dot(h, g)
  double hh = 0.0;
  double gg = 0.0;
  double dd = 0.0;                   // |h - g|^2
  std::int64_t signed_elements = 0;  // with g not 0
  std::int64_t equal_signs = 0;      // of those, the same sign in h

  GradientSums& operator+=(const GradientSums& other);
  bool operator==(const GradientSums&) const = default;
};

// Of two CPU tensors of one shape, fp32 or fp64. An undefined `h` is zero everywhere. The same bits
// whatever the number of threads.
GradientSums compare(const at::Tensor& h, const at::Tensor& g);

// Nothing is there where g is zero. A zero h has the cosine 0.
reports::Agreement agreement_of(const GradientSums& sums);

// The cosine of agreement_of.
std::optional<double> cosine_of(const GradientSums& sums);

}  // namespace sbp::experiments
