#include "experiments/fidelity/gradient_sums.h"

#include <ATen/Parallel.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "experiments/fidelity/blocks.h"
#include "sbp/base/error.h"

namespace sbp::experiments {
namespace {

constexpr int kLanes = 8;  // sums side by side, so that the loop over them is vectorised

// Element by element; `lane` tells which of the sums side by side it goes to.
struct Lanes {
  std::array<double, kLanes> hg{}, hh{}, gg{}, dd{};
  std::array<std::int64_t, kLanes> signed_elements{}, equal_signs{};

  void add(std::size_t lane, double h, double g) {
    hg[lane] += h * g;
    hh[lane] += h * h;
    gg[lane] += g * g;
    dd[lane] += (h - g) * (h - g);
    signed_elements[lane] += g != 0.0 ? 1 : 0;
    equal_signs[lane] += (h > 0.0 && g > 0.0) || (h < 0.0 && g < 0.0) ? 1 : 0;
  }

  GradientSums total() const {
    GradientSums sums;
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      sums += {hg[lane], hh[lane], gg[lane], dd[lane], signed_elements[lane], equal_signs[lane]};
    }
    return sums;
  }
};

template <typename Approximate, typename Exact>
GradientSums compare_block(const Approximate* h, const Exact* g, std::int64_t count) {
  Lanes lanes;
  std::int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      lanes.add(lane, static_cast<double>(h[i + static_cast<std::int64_t>(lane)]),
                static_cast<double>(g[i + static_cast<std::int64_t>(lane)]));
    }
  }
  for (; i < count; ++i) lanes.add(0, static_cast<double>(h[i]), static_cast<double>(g[i]));
  return lanes.total();
}

template <typename Approximate, typename Exact>
GradientSums compare_values(const at::Tensor& h, const at::Tensor& g) {
  const auto* approximate = h.const_data_ptr<Approximate>();
  const auto* exact = g.const_data_ptr<Exact>();
  const auto sums = over_blocks<GradientSums>(g.numel(), [&](std::int64_t first, std::int64_t n) {
    return compare_block(approximate + first, exact + first, n);
  });
  GradientSums total;
  for (const GradientSums& block : sums) total += block;
  return total;
}

void check(const at::Tensor& h, const at::Tensor& g) {
  const auto is_right = [](const at::Tensor& tensor) {
    return !tensor.is_meta() &&
           (tensor.scalar_type() == at::kFloat || tensor.scalar_type() == at::kDouble);
  };
  if (is_right(h) && is_right(g) && h.sizes() == g.sizes()) return;
  throw Error(concat("comparing gradients: ", h.toString(), " ", h.sizes(), " with ", g.toString(),
                     " ", g.sizes(), "; they must be fp32 or fp64, with values, of one shape"));
}

}  // namespace

GradientSums& GradientSums::operator+=(const GradientSums& other) {
  hg += other.hg;
  hh += other.hh;
  gg += other.gg;
  dd += other.dd;
  signed_elements += other.signed_elements;
  equal_signs += other.equal_signs;
  return *this;
}

GradientSums compare(const at::Tensor& h, const at::Tensor& g) {
  if (!h.defined()) return compare(at::zeros_like(g), g);
  check(h, g);
  const at::Tensor a = h.cpu().contiguous(), b = g.cpu().contiguous();
  const bool wide_h = a.scalar_type() == at::kDouble, wide_g = b.scalar_type() == at::kDouble;
  if (wide_h)
    return wide_g ? compare_values<double, double>(a, b) : compare_values<double, float>(a, b);
  return wide_g ? compare_values<float, double>(a, b) : compare_values<float, float>(a, b);
}

std::optional<double> cosine_of(const GradientSums& sums) {
  if (sums.gg == 0.0) return std::nullopt;
  if (sums.hh == 0.0) return 0.0;
  // In this form equal vectors give exactly 1.
  return std::clamp(sums.hg / std::sqrt(sums.hh * sums.gg), -1.0, 1.0);
}

reports::Agreement agreement_of(const GradientSums& sums) {
  if (sums.gg == 0.0) return {};
  return {.cosine = cosine_of(sums),
          .relative_error = std::sqrt(sums.dd / sums.gg),
          .norm_ratio = std::sqrt(sums.hh / sums.gg),
          .sign_agreement =
              static_cast<double>(sums.equal_signs) / static_cast<double>(sums.signed_elements)};
}

}  // namespace sbp::experiments
