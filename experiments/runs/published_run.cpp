#include "experiments/runs/published_run.h"

#include <algorithm>
#include <map>
#include <optional>

#include "experiments/recipes/published_file.h"
#include "experiments/runs/predict_run.h"
#include "profiler/predict/replay.h"
#include "profiler/predict/workload.h"
#include "reports/format.h"
#include "sbp/base/error.h"
#include "sbp/base/number.h"

namespace sbp::experiments {
namespace {

namespace cell = reports::cell;
using predict::Workload;

using Setter = void (*)(ProfileOptions&, const std::string&);

template <typename Number>
Number number_of(const std::string& text) {
  Number number{};
  if (parse_number(text, number) != std::errc()) {
    throw UsageError(concat("published row's option '", text, "' is no number"));
  }
  return number;
}

// What rows may say of their run.
const std::map<std::string, Setter>& setters() {
  static const std::map<std::string, Setter> all = {
      {"model", [](ProfileOptions& run, const std::string& text) { run.model = text; }},
      {"data", [](ProfileOptions& run, const std::string& text) { run.data = text; }},
      {"strategy", [](ProfileOptions& run, const std::string& text) { run.strategy = text; }},
      {"optimizer", [](ProfileOptions& run, const std::string& text) { run.optimizer = text; }},
      {"precision", [](ProfileOptions& run, const std::string& text) { run.precision = text; }},
      {"batch", [](ProfileOptions& run,
                   const std::string& text) { run.batch = number_of<std::int64_t>(text); }},
      {"accumulate",
       [](ProfileOptions& run, const std::string& text) {
         run.accumulate = number_of<std::int64_t>(text);
       }},
      {"ema",
       [](ProfileOptions& run, const std::string& text) { run.ema = number_of<double>(text); }},
  };
  return all;
}

ProfileOptions run_of(const PublishedRow& row, const std::string& device) {
  ProfileOptions run;
  for (const auto& [key, value] : row.options) {
    const auto found = setters().find(key);
    if (found == setters().end()) {
      throw UsageError(concat("published row '", row.name, "' has the option '", key,
                              "'; it may have model, data, strategy, optimizer, precision, batch, ",
                              "accumulate and ema"));
    }
    found->second(run, value);
  }
  run.predict = device;
  return run;
}

// The row as a command; of a forward alone it predicts the training.
std::string command_of(const PublishedRow& row, const std::string& device) {
  std::string command = "sbp-profile";
  for (const auto& [key, value] : row.options) command += concat(" --", key, " '", value, "'");
  return command + concat(" --predict '", device, "'");
}

// All that happens before the first backward.
void cut_at_backward(Workload& workload) {
  const auto is_backward = [](const Workload::Event& event) {
    return event.kind == Workload::Event::Kind::phase &&
           event.index == static_cast<std::uint32_t>(Phase::backward);
  };
  workload.events.erase(std::ranges::find_if(workload.events, is_backward), workload.events.end());
}

// PyTorch's DistributedDataParallel holds buckets beside the gradients, as large as they.
void add_buckets(Workload& workload) {
  std::int64_t bytes = 0;
  for (const Workload::Block& block : workload.blocks) {
    if (block.category == profiler::Category::parameter) bytes += block.bytes;
  }
  const auto index = static_cast<std::uint32_t>(workload.blocks.size());
  workload.blocks.push_back({.bytes = bytes, .category = profiler::Category::gradient});
  workload.events.insert(workload.events.begin(), {Workload::Event::Kind::allocate, index});
}

std::int64_t predicted_bytes(const PublishedFile& file, const ProfileOptions& run) {
  Workload workload = workload_of_run(run);
  if (file.measured == Measured::forward) cut_at_backward(workload);
  if (file.distributed) add_buckets(workload);
  return predict::replay(workload, device_of(run.predict), {}).peak_allocated_bytes;
}

double ratio(std::int64_t part, std::int64_t whole) {
  return static_cast<double>(part) / static_cast<double>(whole);
}

// As the paper prints sizes, with a digit more where those are whole or rough.
std::string in_unit_of(const std::string& published, std::int64_t bytes) {
  constexpr double kMiB = 1 << 20, kGiB = 1 << 30;
  return published.ends_with("GiB")
             ? reports::number_text(static_cast<double>(bytes) / kGiB, 2) + " GiB"
             : reports::number_text(static_cast<double>(bytes) / kMiB, 0) + " MiB";
}

reports::DataTable empty_table() {
  reports::DataTable table{.name = "published", .title = "published and predicted"};
  table.columns = {reports::text_column("row"),
                   {.name = "published"},
                   {.name = "predicted", .heading = "ours"},
                   {.name = "error"},
                   {"published_ratio", "ratio"},
                   {"predicted_ratio", "our ratio"},
                   {"ratio_difference", "difference"},
                   reports::text_column("reasons")};
  for (const char* name : {"published_bytes", "predicted_bytes", "measured", "source", "command"}) {
    table.columns.push_back({.name = name, .readers = reports::DataTable::Readers::programs});
  }
  return table;
}

class PublishedRun {
 public:
  PublishedRun(std::string device, const Progress& progress)
      : device_(std::move(device)), progress_(progress), table_(empty_table()) {
    left_out_.columns = {reports::text_column("figure"), reports::text_column("why")};
  }

  void take(const PublishedFile& file) {
    std::map<std::string, std::int64_t> predicted;
    const std::string& device = device_.empty() ? file.predict : device_;
    for (const PublishedRow& row : file.rows) {
      if (progress_.interrupted && progress_.interrupted()) {
        throw Error("interrupted before all rows were predicted; nothing was written",
                    ExitCode::interrupted);
      }
      if (progress_.step) progress_.step(0, 0, row.name);
      predicted[row.name] = predicted_bytes(file, run_of(row, device));
    }
    for (const PublishedRow& row : file.rows) add(file, row, device, predicted);
    for (const auto& [figure, why] : file.left_out) {
      left_out_.add({cell::Text{figure}, cell::Text{why}});
    }
  }

  reports::Document document() && {
    for (const auto& [name, sentence] : reasons_) {
      table_.notes.push_back(concat(name, ": ", sentence));
    }
    reports::Document result{.title = "published memory figures", .main_table = "published"};
    result.tables = {std::move(table_), std::move(left_out_)};
    return result;
  }

 private:
  void add(const PublishedFile& file, const PublishedRow& row, const std::string& device,
           const std::map<std::string, std::int64_t>& predicted) {
    const std::int64_t ours = predicted.at(row.name);
    reports::Cell published_ratio = cell::Unknown{"it is a baseline"};
    reports::Cell our_ratio = published_ratio, difference = published_ratio;
    if (!row.baseline.empty()) {
      const auto base = std::ranges::find(file.rows, row.baseline, &PublishedRow::name);
      const double theirs = ratio(row.published_bytes, base->published_bytes);
      const double own = ratio(ours, predicted.at(row.baseline));
      published_ratio = cell::Number{theirs, 3};
      our_ratio = cell::Number{own, 3};
      difference = cell::NumberChange{own - theirs, 3};
    }
    for (const std::string& reason : row.reasons) note(file, reason);
    const char* measured = file.measured == Measured::forward ? "forward" : "training";
    table_.add({cell::Text{row.name}, cell::Text{row.published},
                cell::Text{in_unit_of(row.published, ours)},
                cell::NumberChange{ratio(ours, row.published_bytes) - 1.0, 3}, published_ratio,
                our_ratio, difference, cell::Text{join(row.reasons)},
                cell::Bytes{row.published_bytes}, cell::Bytes{ours}, cell::Word{measured},
                cell::Text{file.source}, cell::Text{command_of(row, device)}});
  }

  void note(const PublishedFile& file, const std::string& reason) {
    if (std::ranges::find(reasons_, reason, &Reason::first) != reasons_.end()) return;
    reasons_.push_back(*std::ranges::find(file.reasons, reason, &Reason::first));
  }

  using Reason = std::pair<std::string, std::string>;
  std::string device_;
  const Progress& progress_;
  reports::DataTable table_;
  reports::DataTable left_out_{.name = "left_out", .title = "figures left out"};
  std::vector<Reason> reasons_;
};

}  // namespace

reports::Document predict_published(const std::string& path, const std::string& predict,
                                    const Progress& progress) {
  PublishedRun run(predict, progress);
  for (const std::string& file : published_files(path)) run.take(read_published_file(file));
  return std::move(run).document();
}

}  // namespace sbp::experiments
