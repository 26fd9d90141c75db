#include "profiler/attribution.h"

#include <algorithm>
#include <iterator>

namespace sbp::profiler {

ScopeHistory::Thread& ScopeHistory::at(std::uint16_t thread) {
  if (thread >= threads_.size()) threads_.resize(std::size_t{thread} + 1);
  return threads_[thread];
}

const ScopeHistory::Thread* ScopeHistory::find(std::uint16_t thread) const noexcept {
  return thread < threads_.size() ? &threads_[thread] : nullptr;
}

void ScopeHistory::enter(std::uint16_t thread, LayerId layer, std::uint64_t next_node) {
  Thread& here = at(thread);
  here.open.push_back({++last_number_, layer});
  here.marks.push_back({next_node, layer});
}

bool ScopeHistory::leave(std::uint16_t thread, std::uint64_t next_node) {
  Thread& here = at(thread);
  if (here.open.empty()) return false;
  here.open.pop_back();
  here.marks.push_back({next_node, here.open.empty() ? kNoLayer : here.open.back().layer});
  return true;
}

ScopeNumber ScopeHistory::outermost(std::uint16_t thread) const noexcept {
  const Thread* here = find(thread);
  return here == nullptr || here->open.empty() ? kNoScope : here->open.front().number;
}

ScopeNumber ScopeHistory::innermost(std::uint16_t thread) const noexcept {
  const Thread* here = find(thread);
  return here == nullptr || here->open.empty() ? kNoScope : here->open.back().number;
}

bool ScopeHistory::is_open(std::uint16_t thread, ScopeNumber scope) const noexcept {
  const Thread* here = find(thread);
  if (here == nullptr) return false;
  const auto found = std::ranges::lower_bound(here->open, scope, {}, &Scope::number);
  return found != here->open.end() && found->number == scope;
}

void ScopeHistory::finish() {
  for (Thread& thread : threads_) {
    // Forward hands out ascending numbers; a trace from elsewhere may not, and the search below
    // must not depend on it.
    if (!std::ranges::is_sorted(thread.marks, {}, &Mark::node)) {
      std::ranges::stable_sort(thread.marks, {}, &Mark::node);
    }
  }
}

LayerId ScopeHistory::layer_of_node(std::uint16_t thread, std::uint64_t node) const noexcept {
  const Thread* here = find(thread);
  if (here == nullptr) return kNoLayer;
  // Of marks with the same number the last one holds: nothing was given out between them.
  const auto after = std::ranges::upper_bound(here->marks, node, {}, &Mark::node);
  return after == here->marks.begin() ? kNoLayer : std::prev(after)->layer;
}

}  // namespace sbp::profiler
