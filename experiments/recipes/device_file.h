// A GPU of one's own as a file, for --predict. LibTorch-free.
//
//   {"about": "free text", "gpu": "a100", "memory": "40GiB", "context": "300MiB"}
//
// `gpu` is a card of --list gpus; the other keys are those that it has there.
#pragma once

#include <string>
#include <string_view>

namespace sbp::experiments {

// The spec that the file says: "a100:memory=40GiB,context=300MiB". Throws UsageError naming the
// file where it cannot be read or is of another form, or where a word of it has signs that separate
// the parts of a spec; whether card and keys are known is not looked at.
std::string read_device_file(const std::string& path);
// The same for a text; `name` is what errors call it.
std::string parse_device_file(std::string_view text, const std::string& name);

// A word that names such a file: it ends in ".json".
bool is_device_file(std::string_view word);

}  // namespace sbp::experiments
