#include "experiments/sweep/local_engine.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <thread>

#include "sbp/base/error.h"
#include "sbp/base/whole_file.h"

namespace sbp::sweep {
namespace {

using std::chrono::steady_clock;

constexpr std::chrono::milliseconds kBetweenLooks{10};
constexpr off_t kLastWordsBytes = 4096;

// Everything that the child needs, made before the fork: it may call nothing that could wait for a
// lock of another thread.
struct Launch {
  std::vector<char*> words;  // ends with nullptr
  int errors = -1;           // becomes standard error
  int nothing = -1;          // becomes standard input and output
  int failure = -1;          // an error number is written here where nothing could be run
  pid_t parent = 0;
};

[[noreturn]] void become(const Launch& launch) {
  // The kernel ends this process with the sweep, however that ends.
  bool ready = ::prctl(PR_SET_PDEATHSIG, SIGKILL) == 0;
  // It may have ended before that was said.
  if (::getppid() != launch.parent) ::_exit(1);
  // A group of its own: Ctrl-C on the terminal is for the sweep, which passes it on once.
  ready = ready && ::setpgid(0, 0) == 0;
  ready = ready && ::dup2(launch.nothing, STDIN_FILENO) >= 0;
  ready = ready && ::dup2(launch.nothing, STDOUT_FILENO) >= 0;
  ready = ready && ::dup2(launch.errors, STDERR_FILENO) >= 0;
  for (const int signal : {SIGPIPE, SIGXFSZ, SIGINT, SIGTERM}) {
    struct sigaction action {};
    action.sa_handler = SIG_DFL;
    ::sigaction(signal, &action, nullptr);
  }
  if (ready) ::execv(launch.words.front(), launch.words.data());
  const int error = errno;
  [[maybe_unused]] const ssize_t written = ::write(launch.failure, &error, sizeof error);
  ::_exit(127);
}

std::string last_words(int errors) {
  const off_t size = ::lseek(errors, 0, SEEK_END);
  if (size <= 0) return {};
  const off_t start = size > kLastWordsBytes ? size - kLastWordsBytes : 0;
  std::string text(static_cast<std::size_t>(size - start), '\0');
  const ssize_t count = ::pread(errors, text.data(), text.size(), start);
  text.resize(count < 0 ? 0 : static_cast<std::size_t>(count));
  return text;
}

Ended ended(const std::string& id, int status, const rusage& usage, double seconds) {
  Ended end{.id = id, .exit_code = std::nullopt, .last_words = ""};
  if (WIFEXITED(status)) end.exit_code = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) end.signal = WTERMSIG(status);
  end.seconds = seconds;
  end.peak_resident_bytes = std::int64_t{1024} * usage.ru_maxrss;
  return end;
}

}  // namespace

LocalEngine::~LocalEngine() {
  signal_all(SIGKILL);
  for (const auto& process : running_) ::waitpid(process.second.pid, nullptr, 0);
}

void LocalEngine::start(const Task& task) {
  const std::string what = concat("cannot run '", task.command.front(), "': ");
  Descriptor errors(::memfd_create("sbp-point", MFD_CLOEXEC));
  const Descriptor nothing(::open("/dev/null", O_RDWR | O_CLOEXEC));
  std::array<int, 2> ends{-1, -1};
  if (errors.number() < 0 || nothing.number() < 0 || ::pipe2(ends.data(), O_CLOEXEC) != 0) {
    throw Error(what + reason_of(errno));
  }
  const Descriptor reading(ends[0]);
  Descriptor writing(ends[1]);
  std::vector<std::string> words = task.command;
  Launch launch{.words = {},
                .errors = errors.number(),
                .nothing = nothing.number(),
                .failure = writing.number(),
                .parent = ::getpid()};
  for (std::string& word : words) launch.words.push_back(word.data());
  launch.words.push_back(nullptr);
  const auto start = steady_clock::now();
  const pid_t pid = ::fork();
  if (pid == 0) become(launch);
  if (pid < 0) throw Error(what + reason_of(errno));
  writing.close();
  int error = 0;
  ssize_t count = 0;
  while ((count = ::read(reading.number(), &error, sizeof error)) < 0 && errno == EINTR) continue;
  if (count > 0) {
    ::waitpid(pid, nullptr, 0);
    throw Error(what + reason_of(error));
  }
  running_.emplace(task.id, Process{pid, std::move(errors), start});
}

std::vector<Ended> LocalEngine::collect() {
  std::vector<Ended> all;
  for (auto process = running_.begin(); process != running_.end();) {
    int status = 0;
    rusage usage{};
    const pid_t pid = ::wait4(process->second.pid, &status, WNOHANG, &usage);
    if (pid == 0 || (pid < 0 && errno == EINTR)) {
      ++process;
      continue;
    }
    const std::chrono::duration<double> seconds = steady_clock::now() - process->second.start;
    all.push_back(ended(process->first, status, usage, seconds.count()));
    all.back().last_words = last_words(process->second.errors.number());
    process = running_.erase(process);
  }
  return all;
}

std::vector<Ended> LocalEngine::wait(std::chrono::milliseconds longest) {
  const auto end = steady_clock::now() + longest;
  while (true) {
    std::vector<Ended> all = collect();
    if (!all.empty() || running_.empty() || steady_clock::now() >= end) return all;
    std::this_thread::sleep_for(kBetweenLooks);
  }
}

void LocalEngine::signal_all(int signal) const {
  for (const auto& process : running_) ::kill(process.second.pid, signal);
}

std::vector<Ended> LocalEngine::stop() {
  signal_all(SIGINT);
  std::vector<Ended> all;
  const auto patience_ends = steady_clock::now() + patience_;
  bool killed = false;
  while (!running_.empty()) {
    for (Ended& end : wait(kBetweenLooks)) all.push_back(std::move(end));
    if (!killed && steady_clock::now() >= patience_ends) {
      signal_all(SIGKILL);
      killed = true;
    }
  }
  return all;
}

}  // namespace sbp::sweep
