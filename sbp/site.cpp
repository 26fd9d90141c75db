#include "sbp/site.h"

#include <algorithm>

namespace sbp {

std::string_view to_string(SiteKind kind) {
  switch (kind) {
    case SiteKind::linear: return "linear";
    case SiteKind::conv2d: return "conv2d";
    case SiteKind::attention: return "attention";
    case SiteKind::positionwise: return "positionwise";
    case SiteKind::residual: return "residual";
    case SiteKind::nonlinearity: return "nonlinearity";
    case SiteKind::norm: return "norm";
    case SiteKind::batch_norm: return "batch_norm";
  }
  return "unknown";
}

SiteId SiteTable::add(std::string_view name, SiteKind kind, int block, RowGeometry geometry) {
  const LayerId layer = layers_.add(name, to_string(kind));
  sites_.push_back({std::string(name), kind, layer, block, geometry});
  block_count_ = std::max(block_count_, block + 1);
  return size() - 1;
}

SiteId SiteTable::find(std::string_view name) const {
  const auto found = std::ranges::find(sites_, name, &Site::name);
  return found == sites_.end() ? -1 : static_cast<SiteId>(found - sites_.begin());
}

}  // namespace sbp
