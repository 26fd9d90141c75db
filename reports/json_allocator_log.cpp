#include "reports/json_allocator_log.h"

#include <algorithm>
#include <limits>
#include <set>

namespace sbp::reports {
namespace {

using profiler::AllocatorLog;
using profiler::PoolKind;
using profiler::SegmentChange;

// More than any card has; keeps every sum of sizes far from overflow.
constexpr std::int64_t kMostBytes = std::int64_t{1} << 62;
constexpr std::int64_t kNever = -1;

const std::vector<std::string> kBlockColumns = {
    "born_event", "died_event", "address", "requested_bytes", "block_bytes", "category",
    "step",       "phase",      "layer"};
// Of a run that was: what a simulation does not know.
const std::vector<std::string> kTracedBlockColumns = {
    "born_event", "died_event", "address", "requested_bytes", "block_bytes",         "category",
    "step",       "phase",      "layer",   "saved",           "free_requested_event"};
const std::vector<std::string> kSegmentColumns = {"event", "action", "pool", "address", "bytes"};

bool is_traced(const AllocatorLog& log) {
  return !log.event_ns.empty();
}

Json row_json(const AllocatorLog::Block& block) {
  return {block.born_event,  block.died_event,
          block.address,     block.requested_bytes,
          block.block_bytes, std::string(to_string(block.category)),
          block.step,        std::string(to_string(block.phase)),
          block.layer};
}

Json row_json(const AllocatorLog::Segment& segment) {
  return {segment.event, std::string(to_string(segment.kind)), std::string(to_string(segment.pool)),
          segment.address, segment.bytes};
}

Json rows_json(const AllocatorLog& log) {
  Json array = Json::array();
  for (const AllocatorLog::Block& block : log.blocks) {
    array.push_back(row_json(block));
    if (!is_traced(log)) continue;
    array.back().push_back(block.saved);
    array.back().push_back(block.free_requested_event);
  }
  return array;
}

Json segment_rows_json(const AllocatorLog& log) {
  Json array = Json::array();
  for (const AllocatorLog::Segment& segment : log.segments) array.push_back(row_json(segment));
  return array;
}

std::vector<Node> cells_of(const Node& row, std::size_t count) {
  std::vector<Node> cells = row.elements();
  if (cells.size() != count) row.fail(concat("has ", cells.size(), " values, not ", count));
  return cells;
}

std::int64_t count_in(const Node& cell) {
  const std::int64_t value = cell.integer();
  if (value < 0) cell.fail("must not be negative");
  return value;
}

// A stream may use a block beyond the run's end; none dies without being asked to.
bool in_its_life(const AllocatorLog::Block& block) {
  const std::int64_t asked = block.free_requested_event;
  if (asked == kNever) return block.died_event == kNever;
  return asked > block.born_event && (block.died_event == kNever || asked < block.died_event);
}

AllocatorLog::Block read_block(const Node& row, std::size_t columns) {
  const std::vector<Node> cells = cells_of(row, columns);
  AllocatorLog::Block block;
  block.born_event = count_in(cells[0]);
  block.died_event = cells[1].integer();
  if (block.died_event != kNever && block.died_event <= block.born_event) {
    cells[1].fail("is not after its birth");
  }
  block.address = count_in(cells[2]);
  block.requested_bytes = count_in(cells[3]);
  block.block_bytes = count_in(cells[4]);
  if (block.requested_bytes > block.block_bytes) cells[3].fail("is more than the block has");
  block.category = word_of<profiler::Category>(cells[5], profiler::kCategoryCount);
  block.step = count_in(cells[6]);
  block.phase = word_of<Phase>(cells[7], kPhaseCount);
  block.layer = cells[8].text();
  if (columns == kBlockColumns.size()) return block;
  block.saved = cells[9].boolean();
  block.free_requested_event = cells[10].integer();
  if (!in_its_life(block)) cells[10].fail("does not lie between its birth and its death");
  return block;
}

AllocatorLog::Segment read_segment(const Node& row) {
  const std::vector<Node> cells = cells_of(row, kSegmentColumns.size());
  return {.event = count_in(cells[0]),
          .kind = word_of<SegmentChange>(cells[1], std::ssize(profiler::kSegmentChangeWords)),
          .pool = word_of<PoolKind>(cells[2], std::ssize(profiler::kPoolWords)),
          .address = count_in(cells[3]),
          .bytes = count_in(cells[4])};
}

void require_columns(const Node& node, const std::vector<std::string>& columns) {
  std::vector<std::string> names;
  for (const Node& column : node.elements()) names.push_back(column.text());
  if (names != columns) node.fail("must be " + join(columns));
}

std::uint64_t read_time_ns(const Node& node) {
  return static_cast<std::uint64_t>(count_in(node));
}

// Every event once, and sizes whose sums stay small.
class Check {
 public:
  void event(const Node& row, std::int64_t number) {
    if (!events_.insert(number).second) row.fail(concat("is of event ", number, ", as another is"));
  }
  std::int64_t events() const { return std::ssize(events_); }
  std::int64_t last() const { return events_.empty() ? -1 : *events_.rbegin(); }
  void size(const Node& row, std::int64_t address, std::int64_t bytes) {
    if (bytes > kMostBytes - all_bytes_) row.fail("has an impossible size");
    all_bytes_ += bytes;
    if (address > std::numeric_limits<std::int64_t>::max() - bytes) row.fail("ends nowhere");
  }

 private:
  std::set<std::int64_t> events_;
  std::int64_t all_bytes_ = 0;
};

// One for each event, and none for what is none.
void read_times(const Node& node, const Check& check, AllocatorLog& log) {
  const Node times = node["event_ns"];
  log.event_ns = list(times, read_time_ns);
  const std::int64_t count = std::ssize(log.event_ns);
  if (count != check.events() || count != check.last() + 1) {
    times.fail(concat("has ", count, " times, and there are ", check.events(),
                      " events up to the number ", check.last()));
  }
  if (!std::ranges::is_sorted(log.event_ns)) times.fail("goes back in time");
  log.older_events = count_in(node["older_events"]);
  if (log.older_events > count) node["older_events"].fail("is more than there are events");
}

}  // namespace

Json allocator_log_json(const AllocatorLog& log) {
  Json object = Json::object();
  object["columns"] = is_traced(log) ? kTracedBlockColumns : kBlockColumns;
  object["rows"] = rows_json(log);
  object["segment_columns"] = kSegmentColumns;
  object["segment_rows"] = segment_rows_json(log);
  if (!is_traced(log)) return object;
  object["event_ns"] = log.event_ns;
  object["older_events"] = log.older_events;
  return object;
}

AllocatorLog read_allocator_log(const Node& node) {
  const bool traced = node.has("event_ns");
  const std::vector<std::string>& columns = traced ? kTracedBlockColumns : kBlockColumns;
  require_columns(node["columns"], columns);
  require_columns(node["segment_columns"], kSegmentColumns);
  AllocatorLog log;
  Check check;
  for (const Node& row : node["rows"].elements()) {
    log.blocks.push_back(read_block(row, columns.size()));
    const AllocatorLog::Block& block = log.blocks.back();
    check.event(row, block.born_event);
    for (const std::int64_t event : {block.free_requested_event, block.died_event}) {
      if (event != kNever) check.event(row, event);
    }
    check.size(row, block.address, block.block_bytes);
  }
  for (const Node& row : node["segment_rows"].elements()) {
    log.segments.push_back(read_segment(row));
    check.event(row, log.segments.back().event);
    check.size(row, log.segments.back().address, log.segments.back().bytes);
  }
  if (traced) read_times(node, check, log);
  return log;
}

}  // namespace sbp::reports
