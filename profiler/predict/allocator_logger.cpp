#include "profiler/predict/allocator_logger.h"

#include <utility>

namespace sbp::predict {

void AllocatorLogger::born(Handle handle, const Place& place, Owner owner, const Moment& moment) {
  if (!is_on()) return;
  if (rows_.size() <= handle.block) rows_.resize(std::size_t{handle.block} + 1);
  rows_[handle.block] = log_->blocks.size();
  log_->blocks.push_back({.born_event = events_++,
                          .address = static_cast<std::int64_t>(place.address),
                          .requested_bytes = place.requested_bytes,
                          .block_bytes = place.block_bytes,
                          .category = owner.category,
                          .step = moment.step,
                          .phase = moment.phase,
                          .layer = std::move(owner.layer)});
}

void AllocatorLogger::died(Handle handle) {
  if (is_on()) log_->blocks[rows_[handle.block]].died_event = events_++;
}

void AllocatorLogger::changed(const SegmentEvent& event) {
  if (!is_on()) return;
  log_->segments.push_back({.event = events_++,
                            .kind = event.kind,
                            .pool = event.pool,
                            .address = static_cast<std::int64_t>(event.address),
                            .bytes = event.bytes});
}

}  // namespace sbp::predict
