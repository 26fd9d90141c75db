#include "experiments/runs/environment.h"

#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <fstream>
#include <string>
#include <thread>

#include "sbp/base/error.h"
#include "sbp/base/version.h"

namespace sbp::experiments {
namespace {

// The text after "KEY:" in a file of such lines.
std::optional<std::string> field(const char* path, std::string_view key) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with(key)) continue;
    const auto colon = line.find(':');
    if (colon == std::string::npos) continue;
    const auto start = line.find_first_not_of(" \t", colon + 1);
    return start == std::string::npos ? std::string() : line.substr(start);
  }
  return std::nullopt;
}

// "123 kB" -> bytes.
std::optional<std::int64_t> kilobytes(const char* path, std::string_view key) {
  const auto text = field(path, key);
  if (!text) return std::nullopt;
  return std::int64_t{1024} * std::strtoll(text->c_str(), nullptr, 10);
}

// The number that a file holds; nothing for "max" or a file that is not there.
std::optional<std::int64_t> number_in(const char* path) {
  std::ifstream file(path);
  std::int64_t number = 0;
  return file >> number ? std::optional(number) : std::nullopt;
}

std::string now_utc() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text.data();
}

std::string host_name() {
  std::array<char, 256> name{};
  return gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "";
}

}  // namespace

reports::Environment describe_environment() {
  reports::Environment environment;
  environment.sbp_version = version();
  if (const std::string commit = git_commit(); commit != "unknown") {
    environment.git_commit = commit;
  }
#if defined(__clang__)
  environment.compiler = concat("clang ", __clang_version__);
#else
  environment.compiler = concat("gcc ", __VERSION__);
#endif
  environment.processor = field("/proc/cpuinfo", "model name").value_or("");
  utsname system{};
  if (uname(&system) == 0) {
    environment.operating_system = concat(system.sysname, " ", system.release);
  }
  environment.host = host_name();
  environment.processor_count = static_cast<std::int64_t>(std::thread::hardware_concurrency());
  environment.memory_bytes = kilobytes("/proc/meminfo", "MemTotal").value_or(0);
  environment.started_at = now_utc();
  return environment;
}

std::optional<std::int64_t> available_memory_bytes() {
  const auto of_machine = kilobytes("/proc/meminfo", "MemAvailable");
  const auto limit = number_in("/sys/fs/cgroup/memory.max");
  const auto used = number_in("/sys/fs/cgroup/memory.current");
  if (!limit || !used) return of_machine;
  const std::int64_t of_container = std::max<std::int64_t>(0, *limit - *used);
  return of_machine ? std::min(*of_machine, of_container) : of_container;
}

std::optional<std::int64_t> resident_bytes() {
  return kilobytes("/proc/self/status", "VmRSS");
}

std::optional<std::int64_t> peak_resident_bytes() {
  return kilobytes("/proc/self/status", "VmHWM");
}

bool reset_peak_resident() {
  std::ofstream file("/proc/self/clear_refs");
  file << "5" << std::flush;
  return file.good();
}

}  // namespace sbp::experiments
