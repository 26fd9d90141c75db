// What a checkpoint says about itself.
#include "reports/checkpoint.h"

#include "tests/fuzz/target.h"

namespace fuzz = sbp::tests::fuzz;
using namespace sbp::reports;

SBP_FUZZ_TARGET(checkpoint) {
  fuzz::refused_or([&] {
    const Checkpoint checkpoint = parse_checkpoint(fuzz::as_text(input), "input");
    const std::string json = to_json(checkpoint);
    fuzz::require(to_json(parse_checkpoint(json, "output")) == json, "read and written alike");
  });
}
