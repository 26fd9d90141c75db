#include "sbp/site.h"

#include <algorithm>
#include <set>
#include <utility>

#include "sbp/base/error.h"

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
    case SiteKind::dropout: return "dropout";
    case SiteKind::batch_norm: return "batch_norm";
  }
  return "unknown";
}

SiteId SiteTable::add(std::string_view name, SiteKind kind, int block, RowGeometry geometry) {
  return add({.name = std::string(name), .kind = kind, .block = block, .geometry = geometry});
}

SiteId SiteTable::add(Site site) {
  site.layer = layers_.add(site.name, to_string(site.kind));
  block_count_ = std::max(block_count_, site.block + 1);
  sites_.push_back(std::move(site));
  return size() - 1;
}

std::vector<int> SiteTable::stage_depths() const {
  std::vector<int> depths;
  std::set<int> seen;
  for (const Site& site : sites_) {
    if (site.block < 0 || !seen.insert(site.block).second) continue;
    const auto stage = static_cast<std::size_t>(site.stage);
    if (depths.size() <= stage) depths.resize(stage + 1);
    ++depths[stage];
  }
  return depths;
}

SiteId SiteTable::find(std::string_view name) const {
  const auto found = std::ranges::find(sites_, name, &Site::name);
  return found == sites_.end() ? -1 : static_cast<SiteId>(found - sites_.begin());
}

bool is_downsampling(const Site& site) {
  return site.kind == SiteKind::positionwise && site.name.ends_with(".downsample");
}

SiteId projection_of(const SiteTable& sites, SiteId attention) {
  return sites.find(sites[attention].name + ".proj");
}

std::string kinds_of(const SiteTable& sites) {
  std::set<std::string> kinds;
  for (const Site& site : sites.sites()) kinds.emplace(to_string(site.kind));
  return join(std::vector<std::string>(kinds.begin(), kinds.end()));
}

}  // namespace sbp
