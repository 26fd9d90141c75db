// CIFAR-10 batch files.
#include "experiments/data/cifar10.h"

#include "tests/fuzz/target.h"

namespace fuzz = sbp::tests::fuzz;
using sbp::experiments::Dataset;

namespace {

void read_all(const Dataset& images) {
  sbp::experiments::Image image;
  for (std::int64_t i = 0; i < images.size(); ++i) {
    const std::int64_t label = images.label(i);
    fuzz::require(label >= 0 && label < 10, "labels are 0 to 9");
    images.read(i, {32, 32}, image);
    fuzz::require(image.channels == 3 && image.size == images.dimensions(i), "a colour image");
  }
}

}  // namespace

SBP_FUZZ_TARGET(cifar10) {
  const fuzz::InputFile file(input);
  fuzz::refused_or([&] {
    const auto source = sbp::experiments::open_cifar10(file.path());
    const std::int64_t records = source.train->size() + source.test->size();
    fuzz::require(records * 3073 == std::ssize(input), "every record is in one of the sets");
    read_all(*source.train);
    read_all(*source.test);
  });
}
