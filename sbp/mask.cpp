#include "sbp/mask.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "sbp/base/error.h"
#include "sbp/base/words.h"
#include "sbp/random.h"

namespace sbp {
namespace {

// round(keep * cells), and one at least.
std::int64_t rounded_count(double keep_ratio, std::int64_t cells) {
  const auto count = std::llround(keep_ratio * static_cast<double>(cells));
  return std::clamp<std::int64_t>(count, 1, cells);
}

// The released code drops int((1 - keep) * cells), truncated.
std::int64_t random_count(double keep_ratio, std::int64_t cells) {
  return cells - static_cast<std::int64_t>((1.0 - keep_ratio) * static_cast<double>(cells));
}

KeptCells random_mask(std::int64_t cells, double keep_ratio, RandomStream& stream) {
  KeptCells order(static_cast<std::size_t>(cells));
  std::iota(order.begin(), order.end(), std::int64_t{0});
  shuffle(order, stream);
  order.resize(static_cast<std::size_t>(random_count(keep_ratio, cells)));
  std::ranges::sort(order);
  return order;
}

// Runs differ by one in length where the count does not divide the cells. They start at a random
// cell and go around, so that every cell is kept equally often all the same.
KeptCells stratified_mask(std::int64_t cells, double keep_ratio, RandomStream& stream) {
  const std::int64_t count = rounded_count(keep_ratio, cells);
  const auto origin = static_cast<std::int64_t>(stream.below(static_cast<std::uint64_t>(cells)));
  KeptCells kept;
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t first = i * cells / count, last = (i + 1) * cells / count;
    const auto pick =
        static_cast<std::int64_t>(stream.below(static_cast<std::uint64_t>(last - first)));
    kept.push_back((origin + first + pick) % cells);
  }
  std::ranges::sort(kept);
  return kept;
}

KeptCells bernoulli_mask(std::int64_t cells, double keep_ratio, RandomStream& stream) {
  KeptCells kept;
  for (std::int64_t cell = 0; cell < cells; ++cell) {
    if (stream.uniform() < keep_ratio) kept.push_back(cell);
  }
  return kept;
}

constexpr std::array<std::string_view, 5> kKindWords{"grid", "exact", "random", "stratified",
                                                     "bernoulli"};

// Cells that every draw keeps, of the kinds of which that is one number.
std::int64_t fixed_count(MaskKind kind, double keep_ratio, std::int64_t cells) {
  return kind == MaskKind::random ? random_count(keep_ratio, cells)
                                  : rounded_count(keep_ratio, cells);
}

}  // namespace

std::string_view to_string(MaskKind kind) {
  return word_of(kKindWords, kind);
}

MaskKind parse_mask_kind(std::string_view word) {
  const auto kind = value_of<MaskKind>(kKindWords, word);
  if (kind && *kind != MaskKind::bernoulli) return *kind;
  throw UsageError(concat("unknown mask '", word, "'; use grid, exact, random or stratified"));
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

KeptCells exact_mask(const RowGeometry& geometry, double keep_ratio, double offset) {
  const std::int64_t cells = geometry.cells();
  const std::int64_t count = rounded_count(keep_ratio, cells);
  // In units of 1 / 2^32, so that the count is exact: no rounding decides.
  const auto shift = static_cast<std::int64_t>(offset * 0x1.0p32);
  const auto steps_until = [&](std::int64_t place) {
    const std::int64_t whole = place * count / cells, rest = place * count % cells;
    return whole + (((rest << 32) / cells + shift) >> 32);
  };
  KeptCells kept;
  for (std::int64_t i = 0; i < geometry.height; ++i) {
    for (std::int64_t j = 0; j < geometry.width; ++j) {
      const std::int64_t place = i * geometry.width + (i + j) % geometry.width;
      if (steps_until(place + 1) > steps_until(place)) kept.push_back(i * geometry.width + j);
    }
  }
  return kept;
}

KeptRange kept_range(MaskKind kind, double keep_ratio, const RowGeometry& geometry) {
  const std::int64_t cells = geometry.cells();
  if (kind == MaskKind::bernoulli) return {0, cells};
  if (kind != MaskKind::grid) {
    const std::int64_t count = fixed_count(kind, keep_ratio, cells);
    return {count, count};
  }
  // Starts past the last diagonal all meet no cell: one of them stands for all.
  const std::int64_t diagonals = geometry.height + geometry.width - 1;
  const std::int64_t starts = std::min(grid_stride(keep_ratio), diagonals + 1);
  KeptRange range{cells, 0};
  for (std::int64_t start = 0; start < starts; ++start) {
    const auto count = std::ssize(grid_mask(geometry.height, geometry.width, keep_ratio, start));
    range = {std::min(range.least, count), std::max(range.most, count)};
  }
  return range;
}

double inclusion_probability(MaskKind kind, double keep_ratio, std::int64_t cells) {
  if (kind == MaskKind::bernoulli) return keep_ratio;
  if (kind == MaskKind::grid) {
    const double kept_diagonal = 1.0 / static_cast<double>(grid_stride(keep_ratio));
    return keep_ratio <= 0.5 ? kept_diagonal : 1.0 - kept_diagonal;
  }
  const std::int64_t count =
      kind == MaskKind::random ? random_count(keep_ratio, cells) : rounded_count(keep_ratio, cells);
  return static_cast<double>(count) / static_cast<double>(cells);
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
  // Samples come in the high bits: sample 0 draws what a mask of the whole batch does.
  constexpr int kGroupBits = 12;
  if (request.group >> kGroupBits != 0) {
    throw Error(concat("mask group ", request.group, " is outside 0-", (1 << kGroupBits) - 1,
                       "; use fewer layers of their own masks"));
  }
  RandomStream stream({.seed = seed_,
                       .step = request.step,
                       .site = static_cast<std::uint32_t>(request.group) |
                               static_cast<std::uint32_t>(request.sample) << kGroupBits,
                       .purpose = Purpose::mask,
                       .rank = rank_});
  const RowGeometry& geometry = request.geometry;
  switch (request.kind) {
    case MaskKind::random: return random_mask(geometry.cells(), request.keep_ratio, stream);
    case MaskKind::stratified: return stratified_mask(geometry.cells(), request.keep_ratio, stream);
    case MaskKind::bernoulli: return bernoulli_mask(geometry.cells(), request.keep_ratio, stream);
    case MaskKind::exact: return exact_mask(geometry, request.keep_ratio, stream.uniform());
    case MaskKind::grid: break;
  }
  const auto stride = static_cast<std::uint64_t>(grid_stride(request.keep_ratio));
  const std::int64_t start =
      request.start >= 0 ? request.start : static_cast<std::int64_t>(stream.below(stride));
  return grid_mask(geometry.height, geometry.width, request.keep_ratio, start);
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
