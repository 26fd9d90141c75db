#include "sbp/base/number.h"

#include <array>

namespace sbp {

std::string exact_text(double number) {
  std::array<char, 32> text{};  // the longest takes 24
  return {text.data(), std::to_chars(text.data(), text.data() + text.size(), number).ptr};
}

}  // namespace sbp
