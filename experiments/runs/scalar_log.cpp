#include "experiments/runs/scalar_log.h"

#include <sys/stat.h>

#include <cerrno>
#include <filesystem>

#include "experiments/runs/environment.h"
#include "sbp/base/error.h"
#include "sbp/base/whole_file.h"

namespace sbp::experiments {
namespace {

const std::string& made(const std::string& folder) {
  if (::mkdir(folder.c_str(), 0777) == 0) return folder;
  const int failure = errno;
  if (std::filesystem::is_directory(folder)) return folder;
  if (failure == EEXIST) {
    throw UsageError(concat("cannot make TensorBoard folder '", folder, "': that is a file"));
  }
  if (failure == ENOENT && !std::filesystem::is_directory(folder_of(folder))) {
    throw UsageError(concat("cannot make TensorBoard folder '", folder, "': there is no folder '",
                            folder_of(folder), "'"));
  }
  throw Error(concat("cannot make TensorBoard folder '", folder, "': ", reason_of(failure)));
}

}  // namespace

ScalarLog::ScalarLog(const std::string& folder, std::optional<std::int64_t> resumed_from)
    : file_(made(folder), resumed_from) {}

void ScalarLog::add_step(std::int64_t step, double loss, double learning_rate) {
  file_.add(step, {{"train/loss", loss}, {"train/learning_rate", learning_rate}});
}

void ScalarLog::add_epoch(const reports::EpochResult& result) {
  Scalars scalars = {{"epoch/train_loss", result.train_loss},
                     {"epoch/samples_per_second", result.samples_per_second},
                     {"epoch/seconds", result.seconds},
                     {"epoch/data_wait_seconds", result.data_wait_seconds}};
  if (const auto resident = resident_bytes()) {
    scalars.emplace_back("memory/resident_bytes", static_cast<double>(*resident));
  }
  if (result.evaluation) {
    scalars.emplace_back("test/loss", result.evaluation->loss);
    scalars.emplace_back("test/top1", result.evaluation->top1);
    scalars.emplace_back("test/top5", result.evaluation->top5);
  }
  if (result.averaged_evaluation) {
    scalars.emplace_back("test_averaged/loss", result.averaged_evaluation->loss);
    scalars.emplace_back("test_averaged/top1", result.averaged_evaluation->top1);
    scalars.emplace_back("test_averaged/top5", result.averaged_evaluation->top5);
  }
  file_.add(result.steps, scalars);
}

void ScalarLog::add_memory(std::int64_t step, const reports::MemorySummary& memory) {
  file_.add(step,
            {{"memory/peak_bytes", static_cast<double>(memory.peak_bytes)},
             {"memory/saved_distinct_bytes", static_cast<double>(memory.saved.distinct_bytes)}});
}

}  // namespace sbp::experiments
