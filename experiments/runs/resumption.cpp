#include "experiments/runs/resumption.h"

#include <algorithm>
#include <optional>
#include <variant>

#include "sbp/base/error.h"

namespace sbp::experiments {
namespace {

using reports::ConfigurationValue;
using Configuration = std::vector<std::pair<std::string, ConfigurationValue>>;

std::optional<ConfigurationValue> find(const Configuration& configuration, const std::string& key) {
  const auto found =
      std::ranges::find_if(configuration, [&](const auto& entry) { return entry.first == key; });
  return found == configuration.end() ? std::nullopt : std::optional(found->second);
}

std::string text_of(const std::optional<ConfigurationValue>& value) {
  if (!value) return "not set";
  return std::visit(
      [](const auto& held) {
        std::ostringstream text;
        text.precision(17);
        text << std::boolalpha << "'" << held << "'";
        return text.str();
      },
      *value);
}

std::int64_t integer_of(const std::optional<ConfigurationValue>& value) {
  const std::int64_t* integer = value ? std::get_if<std::int64_t>(&*value) : nullptr;
  return integer == nullptr ? 0 : *integer;
}

// Of the new configuration first, then those that only the old one has.
std::vector<std::string> keys_of(const Configuration& now, const Configuration& before) {
  std::vector<std::string> keys;
  for (const auto* configuration : {&now, &before}) {
    for (const auto& [key, value] : *configuration) {
      if (std::ranges::find(keys, key) == keys.end()) keys.push_back(key);
    }
  }
  return keys;
}

}  // namespace

std::vector<std::string> check_resumption(const reports::Checkpoint& checkpoint,
                                          const reports::Header& now) {
  const reports::Header& before = checkpoint.report.header;
  std::vector<std::string> warnings;
  for (const std::string& key : keys_of(now.configuration, before.configuration)) {
    const auto old_value = find(before.configuration, key);
    const auto new_value = find(now.configuration, key);
    if (old_value == new_value) continue;
    if (key == "workers" || key == "fidelity_every") continue;  // the same steps
    if (key == "threads") {
      warnings.push_back(concat("resumed with threads ", text_of(new_value), ", not ",
                                text_of(old_value), ": results may differ in the last bits"));
    } else if (key == "steps" && integer_of(new_value) >= checkpoint.step) {
      warnings.push_back(concat("resumed at step ", checkpoint.step, " with steps ",
                                text_of(new_value), ", not ", text_of(old_value),
                                ": a schedule that ends with the training changes from here on"));
    } else if (key == "steps") {
      throw UsageError(concat("cannot resume: the checkpoint is of step '", checkpoint.step,
                              "', and training has ", text_of(new_value), " steps; give more"));
    } else {
      throw UsageError(concat("cannot resume: ", key, " is ", text_of(new_value),
                              ", and the checkpoint's run has ", text_of(old_value),
                              "; give the same, or start another run in another folder"));
    }
  }
  const auto& built_before = before.environment.libtorch_version;
  if (built_before != now.environment.libtorch_version) {
    warnings.push_back(concat("resumed with LibTorch ", now.environment.libtorch_version, ", not ",
                              built_before, ": results may differ in the last bits"));
  }
  return warnings;
}

}  // namespace sbp::experiments
