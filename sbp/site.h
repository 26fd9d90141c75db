// What a model says about itself before it runs: the places where a strategy may act.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sbp/base/scope.h"

namespace sbp {

enum class SiteKind : std::uint8_t {
  linear,  // y = x W^T + b
  conv2d,
  attention,     // softmax(q k^T) v, its output projection being a `linear` site of its own
  positionwise,  // a function of each row alone: LN-MLP of a ViT block
  residual,      // x + branch(x)
  nonlinearity,
  norm,
  dropout,
  batch_norm,  // over channels, by statistics of the whole batch
};
std::string_view to_string(SiteKind kind);

// How the rows of an activation [batch, rows, width] lie on a grid, row-major; `leading` rows
// (a class token) come first, belong to no cell and are always kept.
struct RowGeometry {
  std::int64_t leading = 0;
  std::int64_t height = 0;
  std::int64_t width = 0;
  std::int64_t cell_pixels = 0;  // side of the input square that a cell stands for; 0: not said

  std::int64_t cells() const { return height * width; }
  std::int64_t rows() const { return leading + cells(); }
  bool operator==(const RowGeometry&) const = default;
};

// Index into a SiteTable.
using SiteId = std::int32_t;
inline constexpr SiteId kTheBatch = -2;  // in place of a site, where a layer takes the images

struct Site {
  std::string name;  // also the layer's name: "blocks.3.mlp.fc1"
  SiteKind kind = SiteKind::linear;
  LayerId layer = kNoLayer;
  // Index of the residual block it lies in, counted over all stages; the linear of a downsampling
  // goes with the first block after it. -1: outside (stem, head).
  int block = -1;
  RowGeometry geometry = {};  // no cells: rows carry no grid here
  int stage = 0;              // index of the stage its block lies in
  int heads = 0;              // of an attention
  // The innermost site whose branch or body it is part of: an MLP's norm, linears and non-linearity
  // lie within the MLP, that within its residual. -1: none.
  SiteId within = -1;
  // The site whose result this layer takes as its input, where that site saves its result as well
  // (a ReLU, fused attention): the storage then goes only if both let it go. -1: none does.
  // kTheBatch: its input is the batch of images, which is there all the same.
  SiteId input_from = -1;
};

// The sites of one model, in forward order, and the layers that scopes are opened for.
class SiteTable {
 public:
  SiteId add(std::string_view name, SiteKind kind, int block = -1, RowGeometry geometry = {});
  SiteId add(Site site);  // whose layer is filled in
  // A layer's input, and what it is part of, may be known only once both are there.
  void set_input(SiteId layer, SiteId from) {
    sites_.at(static_cast<std::size_t>(layer)).input_from = from;
  }
  void set_within(SiteId part, SiteId whole) {
    sites_.at(static_cast<std::size_t>(part)).within = whole;
  }

  const Site& operator[](SiteId id) const { return sites_.at(static_cast<std::size_t>(id)); }
  SiteId size() const { return static_cast<SiteId>(sites_.size()); }
  const std::vector<Site>& sites() const { return sites_; }
  // -1 when there is none of that name.
  SiteId find(std::string_view name) const;
  int block_count() const { return block_count_; }
  // Blocks of each stage.
  std::vector<int> stage_depths() const;

  // Of all rows, the head reads the leading ones only (a class token).
  bool head_reads_leading() const { return head_reads_leading_; }
  void set_head_reads_leading() { head_reads_leading_ = true; }

  LayerTable& layers() { return layers_; }
  const LayerTable& layers() const { return layers_; }

 private:
  std::vector<Site> sites_;
  LayerTable layers_;
  int block_count_ = 0;
  bool head_reads_leading_ = false;
};

// The linear between two stages, as opposed to the MLP of a block: both are positionwise.
bool is_downsampling(const Site& site);
// The output projection of an attention: the linear "NAME.proj". -1: it has none.
SiteId projection_of(const SiteTable& sites, SiteId attention);

// The kinds of site that there are, for messages: "attention, linear, norm".
std::string kinds_of(const SiteTable& sites);

}  // namespace sbp
