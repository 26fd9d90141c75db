#include "experiments/runs/device_memory.h"

#include <algorithm>
#include <functional>
#include <map>
#include <tuple>

#include "profiler/cuda/scope_id.h"

namespace sbp::experiments {
namespace {

using reports::UnseenMemory;

std::string layer_of(const profiler::UnseenAllocation& allocation,
                     const std::vector<LayerTable::Layer>& layers) {
  if (!allocation.external_id) return {};
  if (profiler::is_backward_scope(*allocation.external_id)) return "backward";
  const LayerId layer = profiler::layer_of_scope(*allocation.external_id);
  const bool known = layer >= 0 && layer < std::ssize(layers);
  return known ? layers[static_cast<std::size_t>(layer)].name : std::string();
}

// Largest first.
std::vector<UnseenMemory> summed(const std::vector<profiler::UnseenAllocation>& allocations,
                                 const std::vector<LayerTable::Layer>& layers) {
  std::map<std::tuple<std::string, std::string, std::string>, UnseenMemory> rows;
  for (const profiler::UnseenAllocation& allocation : allocations) {
    UnseenMemory row{.kind = std::string(to_string(allocation.kind)),
                     .layer = layer_of(allocation, layers),
                     .name = allocation.name};
    UnseenMemory& sum = rows.try_emplace({row.kind, row.layer, row.name}, row).first->second;
    sum.bytes += allocation.bytes;
    ++sum.count;
  }
  std::vector<UnseenMemory> sorted;
  for (auto& [key, row] : rows) sorted.push_back(std::move(row));
  std::ranges::stable_sort(sorted, std::greater{}, &UnseenMemory::bytes);
  return sorted;
}

}  // namespace

reports::DeviceMemory device_memory(const profiler::CudaObservations& seen,
                                    const std::vector<LayerTable::Layer>& layers) {
  const profiler::CudaBooks& books = seen.books;
  const profiler::AllocatorBytes& peak = books.requested_peak.allocator;
  return {.requested_bytes = peak.requested,
          .rounding_bytes = peak.rounding,
          .awaiting_bytes = peak.awaiting,
          .cached_bytes = peak.cached,
          .reserved_bytes = peak.reserved,
          .unseen_bytes = books.requested_peak.unseen,
          .peak_reserved_bytes = books.reserved_peak.allocator.reserved,
          .nameless_bytes = books.nameless_bytes,
          .unseen = summed(books.unseen, layers),
          .cupti_reason = seen.cupti_reason,
          .balanced = books.balanced,
          .first_problem = books.first_problem,
          .blocks = books.log,
          .blocks_reason = books.log_reason};
}

std::vector<std::string> device_warnings(const reports::DeviceMemory& memory) {
  std::vector<std::string> warnings;
  if (!memory.balanced) {
    warnings.push_back("the device's memory does not balance: " + memory.first_problem);
  }
  if (!memory.cupti_reason.empty()) warnings.push_back(memory.cupti_reason);
  if (!memory.blocks_reason.empty()) {
    warnings.push_back("the allocator's blocks are not in the report: " + memory.blocks_reason);
  }
  return warnings;
}

}  // namespace sbp::experiments
