// Gradient keep masks: which rows of an activation carry gradient. True (listed) = kept.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "sbp/site.h"

namespace sbp {

enum class MaskKind : std::uint8_t {
  grid,        // the released diagonal grid, which snaps the ratio to a stride
  exact,       // a diagonal grid that keeps round(keep * cells) cells
  random,      // cells drawn without replacement
  stratified,  // one random cell in each of round(keep * cells) runs of row-major cells
  bernoulli,   // each cell by itself, with probability `keep`: for attention heads
};
std::string_view to_string(MaskKind kind);
MaskKind parse_mask_kind(std::string_view word);

// Kept cells of a height x width grid, as ascending row-major indices.
using KeptCells = std::vector<std::int64_t>;

// The stride of the diagonal grid mask for a keep ratio in (0, 1): round-half-even of 1/keep, or
// of 1/(1-keep) above one half (In-depth SBP, NeurIPS 2022, released `generate_grid_mask2d`).
std::int64_t grid_stride(double keep_ratio);

// Diagonal grid mask: with stride s, keeps cell (i, j) iff (i + j) % s == start, or, for keep
// ratios above one half, iff (i + j) % s != start. REQUIRES 0 <= start < grid_stride(keep_ratio).
KeptCells grid_mask(std::int64_t height, std::int64_t width, double keep_ratio, std::int64_t start);

// Keeps exactly round(keep * cells) cells, spread evenly along rows that are each shifted by one
// against the row above: at one half of an even width it is the diagonal grid. `offset` in [0, 1)
// moves the pattern; uniform offsets keep every cell equally often.
KeptCells exact_mask(const RowGeometry& geometry, double keep_ratio, double offset);

// Least and most cells that a mask of this kind can keep, over all its draws.
struct KeptRange {
  std::int64_t least = 0;
  std::int64_t most = 0;
};
KeptRange kept_range(MaskKind kind, double keep_ratio, const RowGeometry& geometry);

// The probability that a draw keeps a given cell, the same for all cells.
double inclusion_probability(MaskKind kind, double keep_ratio, std::int64_t cells);

// The mask of a grid `factor` times as fine: every cell of `base` becomes a block of factor x
// factor cells, so that both masks keep the same part of the image.
KeptCells replicate(const KeptCells& kept, const RowGeometry& base, std::int64_t factor);
// That grid.
RowGeometry refined(const RowGeometry& base, std::int64_t factor);

// What is asked of a mask source: one mask a group and step, or one a sample.
struct MaskRequest {
  MaskKind kind = MaskKind::grid;
  double keep_ratio = 0.5;
  RowGeometry geometry;
  std::int32_t group = 0;
  std::uint32_t step = 0;
  std::int64_t sample = 0;  // 0 where the batch shares a mask
  std::int64_t start = -1;  // of a grid; -1: drawn
};

// Where masks come from. Tests script them; runs draw them from keys.
class MaskSource {
 public:
  virtual ~MaskSource() = default;
  virtual KeptCells draw(const MaskRequest& request) = 0;
};

// Draws from the keyed generator: the mask of a (seed, step, group, sample, rank) is always the
// same.
class KeyedMaskSource : public MaskSource {
 public:
  explicit KeyedMaskSource(std::uint64_t seed, std::uint32_t rank = 0) : seed_(seed), rank_(rank) {}
  KeptCells draw(const MaskRequest& request) override;

 private:
  std::uint64_t seed_;
  std::uint32_t rank_;
};

// Rows of [leading + cells] that a mask keeps and drops, both ascending.
struct RowSplit {
  std::vector<std::int64_t> kept;
  std::vector<std::int64_t> dropped;
};
RowSplit split_rows(const KeptCells& kept, const RowGeometry& geometry);

}  // namespace sbp
