#include "reports/json_blocks.h"

namespace sbp::reports {
namespace {

using profiler::BlockLife;
using profiler::BlockLives;
using profiler::PhaseMark;

// More than any machine has; keeps every sum of sizes far from overflow.
constexpr std::int64_t kMostBytes = std::int64_t{1} << 62;
// Stands for a death after the end of the trace.
constexpr std::int64_t kNever = -1;

const std::vector<std::string>& column_names() {
  static const std::vector<std::string> kNames = {"born_record", "born_ns", "died_record",
                                                  "died_ns",     "bytes",   "category",
                                                  "phase",       "layer",   "saved"};
  return kNames;
}

Json row_json(const BlockLife& life) {
  const bool died = life.died_record != kNever;
  Json row = Json::array();
  row.push_back(life.born_record);
  row.push_back(life.born_ns);
  row.push_back(life.died_record);
  row.push_back(died ? Json(life.died_ns) : Json(kNever));
  row.push_back(life.bytes);
  row.push_back(std::string(to_string(life.category)));
  row.push_back(std::string(to_string(life.phase)));
  row.push_back(life.layer);
  row.push_back(life.saved);
  return row;
}

std::uint64_t read_time_ns(const Node& node) {
  const std::int64_t value = node.integer();
  if (value < 0) node.fail("must not be negative");
  return static_cast<std::uint64_t>(value);
}

BlockLife read_life(const Node& node) {
  const std::vector<Node> cells = node.elements();
  if (cells.size() != column_names().size()) {
    node.fail(concat("has ", cells.size(), " values, not ", column_names().size()));
  }
  BlockLife life;
  life.born_record = cells[0].integer();
  life.born_ns = read_time_ns(cells[1]);
  life.died_record = cells[2].integer();
  if (life.died_record != kNever) {
    life.died_ns = read_time_ns(cells[3]);
    if (life.died_record <= life.born_record) cells[2].fail("is not after its birth");
  } else if (cells[3].integer() != kNever) {
    cells[3].fail("is a time, and the block did not die");
  }
  life.bytes = cells[4].integer();
  life.category = word_of<profiler::Category>(cells[5], profiler::kCategoryCount);
  life.phase = word_of<Phase>(cells[6], kPhaseCount);
  life.layer = cells[7].text();
  life.saved = cells[8].boolean();
  return life;
}

PhaseMark read_mark(const Node& node) {
  return {.phase = word_of<Phase>(node["phase"], kPhaseCount),
          .record = node["record"].integer(),
          .time_ns = read_time_ns(node["time_ns"])};
}

}  // namespace

Json blocks_json(const BlockLives& blocks) {
  Json object = Json::object();
  Json phases = Json::array();
  for (const PhaseMark& mark : blocks.phases) {
    Json row = Json::object();
    row["phase"] = std::string(to_string(mark.phase));
    row["record"] = mark.record;
    row["time_ns"] = mark.time_ns;
    phases.push_back(std::move(row));
  }
  object["phases"] = std::move(phases);
  object["end_ns"] = blocks.end_ns;
  object["columns"] = column_names();
  Json rows = Json::array();
  for (const BlockLife& life : blocks.lives) rows.push_back(row_json(life));
  object["rows"] = std::move(rows);
  return object;
}

BlockLives read_blocks(const Node& node) {
  const std::vector<Node> columns = node["columns"].elements();
  std::vector<std::string> names;
  for (const Node& column : columns) names.push_back(column.text());
  if (names != column_names()) node["columns"].fail("must be " + join(column_names()));
  BlockLives blocks;
  blocks.phases = list(node["phases"], read_mark);
  blocks.end_ns = read_time_ns(node["end_ns"]);
  std::int64_t all_bytes = 0;
  for (const Node& row : node["rows"].elements()) {
    blocks.lives.push_back(read_life(row));
    const BlockLife& life = blocks.lives.back();
    if (life.born_record < 0) row.fail("was born before the first record");
    if (life.bytes < 0 || life.bytes > kMostBytes - all_bytes) row.fail("has an impossible size");
    all_bytes += life.bytes;
    const bool in_order = blocks.lives.size() < 2 ||
                          blocks.lives[blocks.lives.size() - 2].born_record < life.born_record;
    if (!in_order) row.fail("was not born after the block before it");
  }
  return blocks;
}

}  // namespace sbp::reports
