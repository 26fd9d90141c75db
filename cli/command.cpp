#include "cli/command.h"

#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <exception>
#include <new>

#include "cli/terminal.h"

namespace sbp::cli {
namespace {

// One line whatever the message holds: some libraries put traces into theirs.
std::string one_line(std::string text) {
  for (char& byte : text) {
    const auto value = static_cast<unsigned char>(byte);
    if (value < 0x20 || value == 0x7F) byte = ' ';
  }
  text.erase(text.find_last_not_of(' ') + 1);
  return text;
}

int fail(const std::string& name, const std::string& sentence, ExitCode code) {
  write_stderr(one_line(name + ": " + sentence) + "\n");
  return static_cast<int>(code);
}

}  // namespace

void wait_without_spinning(char** argv) {
  if (std::getenv("GOMP_SPINCOUNT") != nullptr || std::getenv("OMP_WAIT_POLICY") != nullptr) return;
  if (::setenv("GOMP_SPINCOUNT", "2000", 0) == 0) ::execv("/proc/self/exe", argv);
}

int run_command(const std::string& name, int argc, char** argv,
                const std::function<ExitCode(const std::vector<std::string>&)>& body) {
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
  try {
    return static_cast<int>(body(std::vector<std::string>(argv + (argc > 0 ? 1 : 0), argv + argc)));
  } catch (const Error& error) {
    return fail(name, error.what(), error.code());
  } catch (const std::bad_alloc&) {
    return fail(name, "out of memory; use a smaller batch, model or data set", ExitCode::failed);
  } catch (const std::exception& error) {
    return fail(name, error.what(), ExitCode::failed);
  }
}

}  // namespace sbp::cli
