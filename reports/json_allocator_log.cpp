#include "reports/json_allocator_log.h"

#include <limits>
#include <set>

namespace sbp::reports {
namespace {

using predict::AllocatorLog;
using predict::PoolKind;
using predict::SegmentEvent;

// More than any card has; keeps every sum of sizes far from overflow.
constexpr std::int64_t kMostBytes = std::int64_t{1} << 62;
constexpr std::int64_t kNever = -1;

const std::vector<std::string> kBlockColumns = {
    "born_event", "died_event", "address", "requested_bytes", "block_bytes", "category",
    "step",       "phase",      "layer"};
const std::vector<std::string> kSegmentColumns = {"event", "action", "pool", "address", "bytes"};

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

template <typename Row>
Json rows_json(const std::vector<Row>& rows) {
  Json array = Json::array();
  for (const Row& row : rows) array.push_back(row_json(row));
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

AllocatorLog::Block read_block(const Node& row) {
  const std::vector<Node> cells = cells_of(row, kBlockColumns.size());
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
  return block;
}

AllocatorLog::Segment read_segment(const Node& row) {
  const std::vector<Node> cells = cells_of(row, kSegmentColumns.size());
  return {.event = count_in(cells[0]),
          .kind = word_of<SegmentEvent::Kind>(cells[1], std::ssize(predict::kSegmentEventWords)),
          .pool = word_of<PoolKind>(cells[2], std::ssize(predict::kPoolWords)),
          .address = count_in(cells[3]),
          .bytes = count_in(cells[4])};
}

void require_columns(const Node& node, const std::vector<std::string>& columns) {
  std::vector<std::string> names;
  for (const Node& column : node.elements()) names.push_back(column.text());
  if (names != columns) node.fail("must be " + join(columns));
}

// Every event once, and sizes whose sums stay small.
class Check {
 public:
  void event(const Node& row, std::int64_t number) {
    if (!events_.insert(number).second) row.fail(concat("is of event ", number, ", as another is"));
  }
  void size(const Node& row, std::int64_t address, std::int64_t bytes) {
    if (bytes > kMostBytes - all_bytes_) row.fail("has an impossible size");
    all_bytes_ += bytes;
    if (address > std::numeric_limits<std::int64_t>::max() - bytes) row.fail("ends nowhere");
  }

 private:
  std::set<std::int64_t> events_;
  std::int64_t all_bytes_ = 0;
};

}  // namespace

Json allocator_log_json(const AllocatorLog& log) {
  Json object = Json::object();
  object["columns"] = kBlockColumns;
  object["rows"] = rows_json(log.blocks);
  object["segment_columns"] = kSegmentColumns;
  object["segment_rows"] = rows_json(log.segments);
  return object;
}

AllocatorLog read_allocator_log(const Node& node) {
  require_columns(node["columns"], kBlockColumns);
  require_columns(node["segment_columns"], kSegmentColumns);
  AllocatorLog log;
  Check check;
  for (const Node& row : node["rows"].elements()) {
    log.blocks.push_back(read_block(row));
    const AllocatorLog::Block& block = log.blocks.back();
    check.event(row, block.born_event);
    if (block.died_event != kNever) check.event(row, block.died_event);
    check.size(row, block.address, block.block_bytes);
  }
  for (const Node& row : node["segment_rows"].elements()) {
    log.segments.push_back(read_segment(row));
    check.event(row, log.segments.back().event);
    check.size(row, log.segments.back().address, log.segments.back().bytes);
  }
  return log;
}

}  // namespace sbp::reports
