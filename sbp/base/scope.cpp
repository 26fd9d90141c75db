#include "sbp/base/scope.h"

#include <atomic>

namespace sbp {
namespace {

// One pointer to the active observer: allocator and autograd callbacks carry no context of ours.
std::atomic<ScopeObserver*> active_observer{nullptr};

thread_local LayerId open_layer = kNoLayer;
thread_local SaveLabel save_label = SaveLabel::value;

}  // namespace

std::string_view to_string(Phase phase) {
  switch (phase) {
    case Phase::setup: return "setup";
    case Phase::forward: return "forward";
    case Phase::backward: return "backward";
    case Phase::optimizer_step: return "optimizer_step";
    case Phase::evaluation: return "evaluation";
  }
  return "unknown";
}

LayerId LayerTable::add(std::string_view name, std::string_view kind) {
  if (const LayerId known = find(name); known != kNoLayer) return known;
  if (const auto dot = name.rfind('.'); dot != std::string_view::npos) {
    add(name.substr(0, dot), "module");
  }
  const auto id = static_cast<LayerId>(layers_.size());
  layers_.push_back({std::string(name), std::string(kind)});
  ids_.emplace(std::string(name), id);
  return id;
}

LayerId LayerTable::find(std::string_view name) const {
  const auto found = ids_.find(std::string(name));
  return found == ids_.end() ? kNoLayer : found->second;
}

ScopeObserver* set_scope_observer(ScopeObserver* observer) noexcept {
  return active_observer.exchange(observer, std::memory_order_acq_rel);
}

LayerId current_layer() noexcept {
  return open_layer;
}
SaveLabel current_save_label() noexcept {
  return save_label;
}

ScopedLayer::ScopedLayer(LayerId layer) noexcept : layer_(layer), outer_(open_layer) {
  open_layer = layer;
  if (ScopeObserver* observer = active_observer.load(std::memory_order_acquire)) {
    observer->layer_entered(layer);
  }
}

ScopedLayer::~ScopedLayer() {
  if (ScopeObserver* observer = active_observer.load(std::memory_order_acquire)) {
    observer->layer_left(layer_);
  }
  open_layer = outer_;
}

ScopedSaveLabel::ScopedSaveLabel(SaveLabel label) noexcept : outer_(save_label) {
  save_label = label;
}

ScopedSaveLabel::~ScopedSaveLabel() {
  save_label = outer_;
}

}  // namespace sbp
