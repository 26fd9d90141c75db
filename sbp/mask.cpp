#include "sbp/mask.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "sbp/base/error.h"
#include "sbp/random.h"

namespace sbp {
namespace {

KeptCells random_mask(std::int64_t cells, double keep_ratio, RandomStream& stream) {
  // The released code drops int((1 - keep) * cells), truncated.
  const auto dropped = static_cast<std::int64_t>((1.0 - keep_ratio) * static_cast<double>(cells));
  KeptCells order(static_cast<std::size_t>(cells));
  std::iota(order.begin(), order.end(), std::int64_t{0});
  shuffle(order, stream);
  order.resize(static_cast<std::size_t>(cells - dropped));
  std::ranges::sort(order);
  return order;
}

}  // namespace

std::string_view to_string(MaskKind kind) {
  return kind == MaskKind::grid ? "grid" : "random";
}

MaskKind parse_mask_kind(std::string_view word) {
  if (word == "grid") return MaskKind::grid;
  if (word == "random") return MaskKind::random;
  throw UsageError(concat("unknown mask '", word, "'; use grid or random"));
}

std::int64_t grid_stride(double keep_ratio) {
  const double inverse = 1.0 / (keep_ratio <= 0.5 ? keep_ratio : 1.0 - keep_ratio);
  // nearbyint rounds half to even in the default rounding mode, as the released code does.
  return static_cast<std::int64_t>(std::min(std::nearbyint(inverse), 0x1.0p31));
}

KeptCells grid_mask(std::int64_t height, std::int64_t width, double keep_ratio,
                    std::int64_t start) {
  const std::int64_t stride = grid_stride(keep_ratio);
  const bool keeps_diagonal = keep_ratio <= 0.5;
  KeptCells kept;
  for (std::int64_t i = 0; i < height; ++i) {
    for (std::int64_t j = 0; j < width; ++j) {
      if (((i + j) % stride == start) == keeps_diagonal) kept.push_back(i * width + j);
    }
  }
  return kept;
}

KeptCells replicate(const KeptCells& kept, const RowGeometry& base, std::int64_t factor) {
  const std::int64_t width = base.width * factor;
  KeptCells fine;
  for (const std::int64_t cell : kept) {
    const std::int64_t corner = cell / base.width * factor * width + cell % base.width * factor;
    for (std::int64_t i = 0; i < factor; ++i) {
      for (std::int64_t j = 0; j < factor; ++j) fine.push_back(corner + i * width + j);
    }
  }
  std::ranges::sort(fine);
  return fine;
}

RowGeometry refined(const RowGeometry& base, std::int64_t factor) {
  return {.leading = base.leading,
          .height = base.height * factor,
          .width = base.width * factor,
          .cell_pixels = base.cell_pixels / factor};
}

KeptCells KeyedMaskSource::draw(const MaskRequest& request) {
  RandomStream stream({.seed = seed_,
                       .step = request.step,
                       .site = static_cast<std::uint32_t>(request.group),
                       .purpose = Purpose::mask,
                       .rank = rank_});
  const RowGeometry& geometry = request.geometry;
  if (request.kind == MaskKind::random) {
    return random_mask(geometry.cells(), request.keep_ratio, stream);
  }
  const auto stride = static_cast<std::uint64_t>(grid_stride(request.keep_ratio));
  return grid_mask(geometry.height, geometry.width, request.keep_ratio,
                   static_cast<std::int64_t>(stream.below(stride)));
}

RowSplit split_rows(const KeptCells& kept, const RowGeometry& geometry) {
  RowSplit split;
  split.kept.resize(static_cast<std::size_t>(geometry.leading));
  std::iota(split.kept.begin(), split.kept.end(), std::int64_t{0});
  auto next = kept.begin();
  for (std::int64_t cell = 0; cell < geometry.cells(); ++cell) {
    const bool is_kept = next != kept.end() && *next == cell;
    if (is_kept) ++next;
    (is_kept ? split.kept : split.dropped).push_back(geometry.leading + cell);
  }
  return split;
}

}  // namespace sbp
