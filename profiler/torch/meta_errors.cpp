#include "profiler/torch/meta_errors.h"

#include <c10/util/Exception.h>

#include <string_view>
#include <utility>

namespace sbp::profiler {
namespace {

// Sentences of LibTorch that name no operator, or one that nobody calls, and what was called.
constexpr std::pair<std::string_view, std::string_view> kSentences[] = {
    {"aten::_local_scalar_dense", "aten::item"},
    {"Tensor.item() cannot be called on meta tensors", "aten::item"},
    {"Cannot copy out of meta tensor", "aten::copy_"},
    {"cannot repeat_interleave a meta tensor", "aten::repeat_interleave"},
};

// The last word of `text`.
std::string_view last_word(std::string_view text) {
  const std::size_t space = text.find_last_of(" \n");
  return space == std::string_view::npos ? text : text.substr(space + 1);
}

}  // namespace

std::optional<std::string> operator_that_needs_values(const c10::Error& error) {
  const std::string text = error.what_without_backtrace();
  const std::string_view words = text;
  for (const auto& [sentence, name] : kSentences) {
    if (words.find(sentence) != std::string_view::npos) return std::string(name);
  }
  // "aten::nonzero: attempted to run this operator with Meta tensors, but there was no ..."
  if (const auto end = words.find(": attempted to run this operator with Meta tensors");
      end != std::string_view::npos) {
    return std::string(last_word(words.substr(0, end)));
  }
  // "Could not run 'aten::nonzero' with arguments from the 'Meta' backend. ..."
  if (const auto end = words.find("' with arguments from the 'Meta' backend");
      end != std::string_view::npos) {
    return std::string(last_word(words.substr(0, end)).substr(1));
  }
  return std::nullopt;
}

}  // namespace sbp::profiler
