// Batches in a seeded order, prepared ahead on threads of their own; LibTorch-free.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "experiments/data/dataset.h"

namespace sbp::experiments {

// Normalised images [size, C, H, W] and their classes. A batch for Meta has its sizes only.
struct Batch {
  std::vector<float> images;
  std::vector<std::int64_t> labels;  // of mixed images: the first one's
  std::vector<float> targets;        // [size, classes] when mixing, else empty
  std::int64_t size = 0;
  std::int64_t target_classes = 0;  // above 0: targets are dense, of so many classes
};

struct LoaderOptions {
  std::int64_t batch = 8;
  std::uint64_t seed = 0;
  bool shuffle = true;            // a new order each epoch, a function of (seed, epoch)
  bool drop_last = true;          // leave out an incomplete last batch
  bool flip = false;              // random horizontal flip, keyed by (seed, epoch, sample)
  std::int64_t crop_padding = 0;  // random crop after padding by so many black pixels, keyed alike
  // Only so many samples: evenly spread over the set, or with shuffling its first.
  std::optional<std::int64_t> limit = {};
  std::int64_t prefetch = 4;              // batches prepared ahead; 0: on the caller's thread
  std::int64_t workers = 1;               // threads that share the samples of a batch
  std::vector<Spec> augment = {};         // of augmentation_schemas(); joined by flip and padding
  std::optional<double> crop_ratio = {};  // of images resized whole; default: the data's own
};

class Loader {
 public:
  // `data` must outlive the loader; `source` is read here only, for its mean and deviation. Throws
  // UsageError for options out of range, and for a batch that the samples cannot fill once.
  Loader(const Dataset& data, const DataSource& source, const LoaderOptions& options);
  ~Loader();

  std::int64_t batches_per_epoch() const;
  // Starts an epoch (from 0) at one of its batches: those before it are not read, those from it on
  // are the same. What was prefetched of another epoch is thrown away. Before the first call next()
  // gives nothing. Throws Error for a batch beyond the epoch's end.
  void start_epoch(std::int64_t epoch, std::int64_t first_batch = 0);
  // The next batch of the epoch, nothing at its end. Errors of the workers come out here, once the
  // batches made before them are handed out. The same batches whatever `prefetch` and `workers`
  // are.
  std::optional<Batch> next();
  // Seconds that next() spent waiting since start_epoch.
  double wait_seconds() const;

 private:
  class Worker;
  std::unique_ptr<Worker> worker_;
};

}  // namespace sbp::experiments
