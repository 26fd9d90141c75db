#include "reports/snapshot_pickle.h"

#include "profiler/record.h"

namespace sbp::reports {

void SnapshotPickle::number(std::string_view key, std::int64_t value) {
  text(key);
  integer(value);
  set_item();
}

void SnapshotPickle::word(std::string_view key, std::string_view value) {
  text(key);
  text(value);
  set_item();
}

void SnapshotPickle::frame(std::string_view file, std::string_view name) {
  dict();
  word("name", name);
  word("filename", file);
  number("line", 0);
  append();
}

void SnapshotPickle::no_frames() {
  text("frames");
  list();
  set_item();
}

void SnapshotPickle::begin_event(std::string_view action, std::int64_t address, std::int64_t bytes,
                                 std::int64_t time_us) {
  dict();
  word("action", action);
  number("addr", address);
  number("size", bytes);
  number("stream", 0);
  number("time_us", time_us);
}

void SnapshotPickle::end_of_trace(std::int64_t time_us) {
  begin_event("snapshot", 0, 0, time_us);
  word("category", to_string(profiler::Category::unknown));
  no_frames();
  append();
}

void SnapshotPickle::begin_segment(const Segment& segment) {
  dict();
  number("device", 0);
  number("address", segment.address);
  number("total_size", segment.bytes);
  number("allocated_size", segment.allocated_bytes);
  number("active_size", segment.active_bytes);
  number("requested_size", segment.requested_bytes);
  number("stream", 0);
  word("segment_type", segment.pool);
  text("segment_pool_id");
  integer(0);
  integer(0);
  pair();
  set_item();
  text("is_expandable");
  boolean(segment.is_expandable);
  set_item();
  no_frames();
}

}  // namespace sbp::reports
