// How a parser is fuzzed: one source a target, which reads
//
//   SBP_FUZZ_TARGET(idx) { fuzz::refused_or([&] { ... parse `input`, require what must hold ... });
//   }
//
// `input` is a std::span<const std::uint8_t>. tools/fuzz builds each target with libFuzzer; in
// unit_tests all targets run over the inputs in corpus/NAME (test_corpora.cpp).
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "sbp/base/error.h"

namespace sbp::tests::fuzz {

using Input = std::span<const std::uint8_t>;

struct Target {
  std::string name;
  void (*run)(Input input);
};

inline std::vector<Target>& targets() {
  static std::vector<Target> all;
  return all;
}

struct Registration {
  Registration(std::string_view name, void (*run)(Input)) {
    targets().push_back({std::string(name), run});
  }
};

inline std::string_view as_text(Input input) {
  return {reinterpret_cast<const char*>(input.data()), input.size()};
}

// What a parser promised of a value that it gave.
inline void require(bool holds, const char* promise) {
  if (!holds) throw std::logic_error(promise);
}

// A parser may refuse its input with a sentence; anything else that it throws is a finding.
template <typename Action>
void refused_or(Action action) {
  try {
    action();
  } catch (const Error& error) {
    require(std::string_view(error.what()).size() > 10, "an error is a sentence");
  }
}

// The input as a file, for parsers that take a path. It never touches a disk.
class InputFile {
 public:
  explicit InputFile(Input input) : descriptor_(memfd_create("input", 0)) {
    if (descriptor_ < 0) throw std::runtime_error("cannot make a file in memory");
    if (::write(descriptor_, input.data(), input.size()) != static_cast<ssize_t>(input.size())) {
      throw std::runtime_error("cannot write a file in memory");
    }
  }
  ~InputFile() { ::close(descriptor_); }
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  std::string path() const { return concat("/proc/self/fd/", descriptor_); }

 private:
  int descriptor_;
};

}  // namespace sbp::tests::fuzz

#ifdef SBP_LIBFUZZER
#define SBP_FUZZ_ENTRY(name)                                                          \
  extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) { \
    fuzz_##name({data, size});                                                        \
    return 0;                                                                         \
  }
#else
#define SBP_FUZZ_ENTRY(name) \
  static const ::sbp::tests::fuzz::Registration registration_##name(#name, fuzz_##name);
#endif

#define SBP_FUZZ_TARGET(name)                               \
  static void fuzz_##name(::sbp::tests::fuzz::Input input); \
  SBP_FUZZ_ENTRY(name)                                      \
  static void fuzz_##name(::sbp::tests::fuzz::Input input)
