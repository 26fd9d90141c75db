// How many images a second the loader prepares: synthetic ones of three sizes, Fashion-MNIST
// where its package is installed, CIFAR-10 where a path is given.
//
// loader_bench [CIFAR10_FILE_OR_FOLDER]
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "experiments/data/dataset.h"
#include "experiments/data/fashion_mnist.h"
#include "experiments/data/loader.h"
#include "sbp/base/error.h"

namespace {

using namespace sbp;
using namespace sbp::experiments;

constexpr double kSeconds = 1.0;  // at least so long a measurement
constexpr std::int64_t kBatch = 32;

double images_per_second(const DataSource& source, bool augment, std::int64_t prefetch) {
  Loader loader(
      *source.train, source,
      {.batch = kBatch, .flip = augment, .crop_padding = augment ? 4 : 0, .prefetch = prefetch});
  const auto start = std::chrono::steady_clock::now();
  double seconds = 0.0;
  std::int64_t images = 0;
  for (std::int64_t epoch = 0; seconds < kSeconds; ++epoch) {
    loader.start_epoch(epoch);
    while (seconds < kSeconds) {
      const std::optional<Batch> batch = loader.next();
      if (!batch) break;
      images += batch->size;
      seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    }
  }
  return static_cast<double>(images) / seconds;
}

void measure(const std::string& text) {
  const Spec spec = parse_spec(text, "data", data_schemas());
  const auto start = std::chrono::steady_clock::now();
  const DataSource source = open_data(spec, {}, 1);
  const double open_seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  std::printf("%-48.48s %8.3f", text.c_str(), open_seconds);
  for (const std::int64_t prefetch : {0, 4}) {
    for (const bool augment : {false, true}) {
      std::printf(" %11.0f", images_per_second(source, augment, prefetch));
      std::fflush(stdout);
    }
  }
  std::printf("\n");
}

}  // namespace

int main(int argc, char** argv) try {
  std::printf(
      "Images a second in batches of %lld; augmented: flips, and crops after padding by 4.\n",
      static_cast<long long>(kBatch));
  std::printf("%-48s %8s %11s %11s %11s %11s\n", "data", "open s", "plain", "augmented", "plain",
              "augmented");
  std::printf("%-48s %8s %23s %23s\n", "", "", "(caller's thread)", "(4 batches ahead)");
  measure("synthetic:image=28,channels=1");
  measure("synthetic:image=32,channels=3");
  measure("synthetic:image=224,channels=3");
  if (std::filesystem::exists(kFashionMnistFolder)) measure("fashion_mnist");
  if (argc > 1) measure(concat("cifar10:path=\"", argv[1], "\""));
  return 0;
} catch (const Error& error) {
  std::fprintf(stderr, "loader_bench: %s\n", error.what());
  return static_cast<int>(error.code());
}
