// The file behind --config.
#include "experiments/recipes/option_file.h"

#include "tests/fuzz/target.h"

namespace fuzz = sbp::tests::fuzz;

SBP_FUZZ_TARGET(option_file) {
  fuzz::refused_or([&] {
    const auto file = sbp::experiments::parse_option_file(fuzz::as_text(input), "input");
    for (std::size_t i = 0; i < file.options.size(); ++i) {
      for (std::size_t j = 0; j < i; ++j) {
        fuzz::require(file.options[i].first != file.options[j].first, "no option twice");
      }
    }
  });
}
