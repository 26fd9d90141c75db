#include "reports/chrome_trace.h"

#include <algorithm>

#include "reports/json_writing.h"
#include "reports/memory_events.h"
#include "reports/sections.h"

namespace sbp::reports {
namespace {

using profiler::BlockLife;
using profiler::BlockLives;

constexpr int kProcess = 1;
constexpr int kPhaseThread = 1;

class TraceText {
 public:
  void add(const Json& event) {
    text_ += text_.empty() ? "" : ",\n";
    // A name may hold bytes that are not UTF-8.
    text_ += event.dump(-1, ' ', false, Json::error_handler_t::replace);
  }

  std::string take(const Json& about) && {
    return "{\"displayTimeUnit\": \"ns\",\n\"otherData\": " +
           about.dump(-1, ' ', false, Json::error_handler_t::replace) + ",\n\"traceEvents\": [\n" +
           text_ + "\n]}\n";
  }

 private:
  std::string text_;
};

Json event(const char* kind, const std::string& name, std::uint64_t time_ns) {
  Json object = Json::object();
  object["ph"] = kind;
  object["name"] = name;
  object["pid"] = kProcess;
  object["ts"] = static_cast<double>(time_ns) / 1000.0;
  return object;
}

void add_names(TraceText& text) {
  Json process = event("M", "process_name", 0);
  process["args"]["name"] = "memory of one training step";
  text.add(process);
  Json thread = event("M", "thread_name", 0);
  thread["tid"] = kPhaseThread;
  thread["args"]["name"] = "phases";
  text.add(thread);
}

void add_phases(TraceText& text, const BlockLives& blocks) {
  for (std::size_t i = 0; i < blocks.phases.size(); ++i) {
    const auto& mark = blocks.phases[i];
    const bool last = i + 1 == blocks.phases.size();
    const std::uint64_t end = last ? blocks.end_ns : blocks.phases[i + 1].time_ns;
    Json slice = event("X", std::string(to_string(mark.phase)), mark.time_ns);
    slice["tid"] = kPhaseThread;
    slice["dur"] = static_cast<double>(end - std::min(end, mark.time_ns)) / 1000.0;
    text.add(slice);
  }
}

Json counter(const std::string& name, std::uint64_t time_ns, std::int64_t bytes) {
  Json object = event("C", name, time_ns);
  object["args"]["bytes"] = bytes;
  return object;
}

void add_saved(TraceText& text, const BlockLife& life, std::size_t number, bool birth,
               std::uint64_t time_ns) {
  Json slice = event(birth ? "b" : "e", layer_text(life.layer), time_ns);
  slice["cat"] = "saved for backward";
  slice["id"] = std::to_string(number);
  slice["tid"] = kPhaseThread;
  if (birth) {
    slice["args"]["bytes"] = life.bytes;
    slice["args"]["category"] = std::string(to_string(life.category));
    slice["args"]["born in"] = std::string(to_string(life.phase));
  }
  text.add(slice);
}

void add_events(TraceText& text, const BlockLives& blocks) {
  std::int64_t live_bytes = 0;
  profiler::CategoryBytes categories{};
  for (const MemoryEvent& happened : memory_events(blocks)) {
    const BlockLife& life = blocks.lives[happened.block];
    const std::int64_t bytes = happened.birth ? life.bytes : -life.bytes;
    std::int64_t& of_category = categories[static_cast<std::size_t>(life.category)];
    live_bytes += bytes;
    of_category += bytes;
    text.add(counter("live bytes", happened.time_ns, live_bytes));
    text.add(counter("live: " + spaced(to_string(life.category)), happened.time_ns, of_category));
    if (life.saved) add_saved(text, life, happened.block, happened.birth, happened.time_ns);
  }
  // Slices without an end would be drawn to nowhere.
  for (std::size_t i = 0; i < blocks.lives.size(); ++i) {
    const BlockLife& life = blocks.lives[i];
    if (life.saved && life.died_record < 0) add_saved(text, life, i, false, blocks.end_ns);
  }
}

constexpr std::uint64_t kEventNs = 1000;

std::uint64_t time_of(std::int64_t event) {
  return static_cast<std::uint64_t>(event) * kEventNs;
}

BlockLives lives_of(const profiler::AllocatorLog& log) {
  BlockLives lives;
  std::int64_t step = -1;
  for (const profiler::AllocatorLog::Block& block : log.blocks) {
    const bool died = block.died_event >= 0;
    if (block.step != step || block.phase != lives.phases.back().phase) {
      lives.phases.push_back({block.phase, block.born_event, time_of(block.born_event)});
      step = block.step;
    }
    lives.lives.push_back({.bytes = block.block_bytes,
                           .born_record = block.born_event,
                           .died_record = block.died_event,
                           .born_ns = time_of(block.born_event),
                           .died_ns = died ? time_of(block.died_event) : 0,
                           .category = block.category,
                           .phase = block.phase,
                           .layer = block.layer});
    lives.end_ns = std::max({lives.end_ns, lives.lives.back().born_ns, lives.lives.back().died_ns});
  }
  return lives;
}

}  // namespace

std::string chrome_trace(const PredictionReport& report) {
  ProfileReport profile;
  profile.header = report.header;
  profile.model = report.model;
  profile.strategy = report.strategy;
  profile.memory.peak.bytes = report.prediction.peak_allocated_bytes;
  profile.memory.blocks = lives_of(*report.prediction.blocks);
  return chrome_trace(profile);
}

std::string chrome_trace(const ProfileReport& report) {
  TraceText text;
  add_names(text);
  add_phases(text, *report.memory.blocks);
  add_events(text, *report.memory.blocks);
  Json about = Json::object();
  about["model"] = report.model.spec;
  about["strategy"] = report.strategy.spec;
  about["batch"] = configured(report.header, "batch");
  about["peak_bytes"] = report.memory.peak.bytes;
  about["sbp_version"] = report.header.environment.sbp_version;
  return std::move(text).take(about);
}

}  // namespace sbp::reports
