#include "tests/experiments/sweep/fakes.h"

#include <algorithm>
#include <fstream>

#include "reports/json.h"
#include "tests/reports/samples.h"

namespace sbp::tests {
namespace {

std::string word_after(const std::vector<std::string>& words, const std::string& option,
                       const std::string& otherwise) {
  const auto found = std::ranges::find(words, option);
  return found == words.end() || found + 1 == words.end() ? otherwise : *(found + 1);
}

const std::vector<SpecSchema>& strategies() {
  static const std::vector<SpecSchema> known = {
      {"full", "nothing dropped", {}},
      {"sbp",
       "drops backward paths",
       {{"keep", ValueKind::real, "0.5", "", {}, 0.0, 1.0, true},
        word_key("mask", {"grid", "random"}, "")}},
      {"dropit", "drops elements", {{"gamma", ValueKind::real, "0.9", "", {}, 0.0, 1.0}}}};
  return known;
}

}  // namespace

const sweep::CommandOptions& fake_command() {
  static const sweep::CommandOptions command = {.command = "train",
                                                .names = {"strategy", "batch", "seed", "flip"},
                                                .flags = {"flip"},
                                                .specs = {{"strategy", "full", strategies()}}};
  return command;
}

std::string fake_report(const std::vector<std::string>& words, double loss) {
  reports::TrainReport report = sample_training();
  report.header.command_line = words;
  report.header.command_line.insert(report.header.command_line.begin(), "sbp-train");
  report.epochs.back().train_loss = loss;
  return reports::to_json(report);
}

sweep::Ended finish(const sweep::Task& task, double loss) {
  const std::vector<std::string> words(task.command.begin() + 1, task.command.end());
  std::ofstream(word_after(words, "--output", "")) << fake_report(words, loss);
  return {.id = task.id, .exit_code = 0, .seconds = 1.5, .last_words = ""};
}

void FakeEngine::start(const sweep::Task& task) {
  if (started) started(task);
  order.push_back(task.id);
  running_.push_back(task);
  most_running = std::max(most_running, running());
  std::int64_t memory = 0;
  for (const sweep::Task& each : running_) memory += each.memory_bytes.value_or(0);
  most_memory = std::max(most_memory, memory);
}

std::vector<sweep::Ended> FakeEngine::wait(std::chrono::milliseconds) {
  if (running_.empty()) return {};
  const sweep::Task task = running_.front();
  running_.pop_front();
  return {ending ? ending(task) : finish(task)};
}

std::vector<sweep::Ended> FakeEngine::stop() {
  stopped = true;
  std::vector<sweep::Ended> all;
  for (const sweep::Task& task : running_) {
    all.push_back({.id = task.id, .exit_code = 130, .last_words = ""});
  }
  running_.clear();
  return all;
}

sweep::PointNeeds FakeSwept::needs(const std::vector<std::string>& words) {
  const std::int64_t peak = step_peak(words).bytes;
  return {.batch = batch(words), .steps = 10, .step_peak_bytes = peak, .memory_bytes = 2 * peak};
}

std::int64_t FakeSwept::batch(const std::vector<std::string>& words) {
  return std::stoll(word_after(words, "--batch", "8"));
}

sweep::StepPeak FakeSwept::step_peak(const std::vector<std::string>& words) {
  ++dry_runs;
  const std::string strategy = word_after(words, "--strategy", "full");
  const std::int64_t least = fixed_bytes + bytes_per_image.at(strategy) * batch(words);
  const auto rest = rest_bytes.find(batch(words));
  return {.bytes = least + (rest == rest_bytes.end() ? 0 : rest->second), .least_bytes = least};
}

std::optional<double> FakeSwept::seconds(const std::vector<std::string>&, std::int64_t) {
  return 2.0;
}

}  // namespace sbp::tests
