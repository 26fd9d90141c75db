#include "experiments/data/loader.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <numeric>
#include <thread>
#include <utility>

#include "experiments/data/mix.h"
#include "experiments/data/sample_maker.h"
#include "experiments/data/worker_pool.h"
#include "sbp/base/error.h"
#include "sbp/random.h"

namespace sbp::experiments {
namespace {

void check_options(const LoaderOptions& options) {
  const auto require = [](bool good, std::string_view name, std::int64_t least,
                          std::int64_t value) {
    if (good) return;
    throw UsageError(concat(name, " must be at least ", least, ", not '", value, "'"));
  };
  require(options.batch >= 1, "batch", 1, options.batch);
  require(options.crop_padding >= 0, "crop padding", 0, options.crop_padding);
  require(options.prefetch >= 0, "prefetch", 0, options.prefetch);
  require(options.workers >= 1, "workers", 1, options.workers);
  require(options.limit.value_or(1) >= 1, "limit of samples", 1, options.limit.value_or(1));
  if (!(options.crop_ratio.value_or(1.0) > 0.0 && options.crop_ratio.value_or(1.0) <= 1.0)) {
    throw UsageError(concat("the crop ratio of evaluation must be above 0 and at most 1, not '",
                            *options.crop_ratio, "'"));
  }
}

Augmentation augmentation_of(const LoaderOptions& options) {
  check_options(options);
  Augmentation all = make_augmentation(options.augment);
  if (options.flip && all.flip) throw UsageError("flip is given twice: as option and in augment");
  if (options.crop_padding > 0 && all.padding > 0) {
    throw UsageError("padding is given twice: as crop padding and as pad in augment");
  }
  all.flip = all.flip || options.flip;
  all.padding = std::max(all.padding, options.crop_padding);
  return all;
}

}  // namespace

// Makes the batches of one epoch, on a thread that lives as long as the epoch, or in next().
class Loader::Worker {
 public:
  Worker(const Dataset& data, const DataSource& source, const LoaderOptions& options)
      : data_(data),
        options_(options),
        augmentation_(augmentation_of(options)),
        maker_(data, source, augmentation_, options.crop_ratio.value_or(source.crop_ratio)),
        pool_(options.workers),
        scratch_(pool_.workers()) {
    samples_ = std::min(data.size(), options.limit.value_or(data.size()));
    if (options.drop_last && samples_ < options.batch) {
      throw UsageError(concat("batch must be at most ", samples_,
                              ", the number of samples there are, not '", options.batch, "'"));
    }
  }

  ~Worker() { stop(); }
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  std::int64_t batches_per_epoch() const {
    const std::int64_t rest = options_.drop_last ? 0 : options_.batch - 1;
    return (samples_ + rest) / options_.batch;
  }

  void start_epoch(std::int64_t epoch, std::int64_t first_batch) {
    if (first_batch < 0 || first_batch > batches_per_epoch()) {
      throw Error(concat("cannot start an epoch of ", batches_per_epoch(), " batches at batch '",
                         first_batch, "'"));
    }
    stop();
    epoch_ = epoch;
    first_batch_ = first_batch;
    handed_out_ = first_batch;
    wait_seconds_ = 0.0;
    order_.resize(static_cast<std::size_t>(samples_));
    std::iota(order_.begin(), order_.end(), std::int64_t{0});
    if (options_.shuffle) {
      RandomStream stream({.seed = options_.seed,
                           .step = static_cast<std::uint32_t>(epoch),
                           .purpose = Purpose::shuffle});
      shuffle(order_, stream);
    } else {
      // Data sets often lie class by class; the first so many samples would be of a few classes.
      for (std::int64_t& sample : order_) sample = sample * data_.size() / samples_;
    }
    if (options_.prefetch > 0) thread_ = std::thread([this] { produce(); });
  }

  std::optional<Batch> next() {
    if (order_.empty() || handed_out_ == batches_per_epoch()) return std::nullopt;
    const auto start = std::chrono::steady_clock::now();
    Batch batch = options_.prefetch > 0 ? take() : make_batch(handed_out_);
    wait_seconds_ +=
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    ++handed_out_;
    return batch;
  }

  double wait_seconds() const { return wait_seconds_; }

 private:
  // The worker thread: keeps up to `prefetch` batches ready until the epoch ends, it is told to
  // stop, or a batch fails.
  void produce() {
    try {
      for (std::int64_t index = first_batch_; index < batches_per_epoch(); ++index) {
        {
          std::unique_lock lock(mutex_);
          changed_.wait(lock, [this] {
            return stopping_ || static_cast<std::int64_t>(ready_.size()) < options_.prefetch;
          });
          if (stopping_) return;
        }
        Batch batch = make_batch(index);
        const std::lock_guard lock(mutex_);
        ready_.push_back(std::move(batch));
        changed_.notify_all();
      }
    } catch (...) {
      const std::lock_guard lock(mutex_);
      failure_ = std::current_exception();
      changed_.notify_all();
    }
  }

  // The next prepared batch; the worker's failure once the batches before it are handed out.
  Batch take() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !ready_.empty() || failure_; });
    if (ready_.empty()) std::rethrow_exception(failure_);
    Batch batch = std::move(ready_.front());
    ready_.pop_front();
    changed_.notify_all();
    return batch;
  }

  void stop() {
    if (thread_.joinable()) {
      {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
      }
      changed_.notify_all();
      thread_.join();
    }
    stopping_ = false;
    failure_ = nullptr;
    ready_.clear();
  }

  // Depends on nothing but the epoch and the index: the same on every thread.
  Batch make_batch(std::int64_t index) {
    const ImageGeometry& geometry = data_.geometry();
    const auto elements = static_cast<std::size_t>(geometry.elements());
    const std::int64_t first = index * options_.batch;
    Batch batch;
    batch.size = std::min(options_.batch, samples_ - first);
    batch.images.resize(static_cast<std::size_t>(batch.size) * elements);
    pool_.run(batch.size, [&](std::int64_t i, std::size_t worker) {
      const std::int64_t sample = order_[static_cast<std::size_t>(first + i)];
      maker_.make(
          {options_.seed, epoch_, sample}, scratch_[worker],
          std::span(batch.images).subspan(static_cast<std::size_t>(i) * elements, elements));
    });
    for (std::int64_t i = 0; i < batch.size; ++i) {
      batch.labels.push_back(data_.label(order_[static_cast<std::size_t>(first + i)]));
    }
    if (augmentation_.mix) mix(index, batch);
    return batch;
  }

  void mix(std::int64_t index, Batch& batch) const {
    const ImageGeometry& geometry = data_.geometry();
    const ImageSize size = {geometry.height, geometry.width};
    RandomStream stream = augment_stream({options_.seed, epoch_, index}, AugmentStream::mix);
    const MixDraw draw = draw_mix(*augmentation_.mix, size, stream);
    mix_images(batch.images, batch.size, geometry.channels, size, draw);
    batch.targets = mixed_targets(batch.labels, geometry.classes, draw);
    batch.target_classes = geometry.classes;
  }

  const Dataset& data_;
  LoaderOptions options_;
  Augmentation augmentation_;
  SampleMaker maker_;
  WorkerPool pool_;  // of whichever thread makes batches
  std::vector<SampleScratch> scratch_;
  std::int64_t samples_ = 0;

  // Of the epoch; the thread only reads them.
  std::int64_t epoch_ = 0;
  std::int64_t first_batch_ = 0;
  std::vector<std::int64_t> order_;

  // Of the caller's thread.
  std::int64_t handed_out_ = 0;
  double wait_seconds_ = 0.0;
  std::thread thread_;

  // Shared, under mutex_.
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Batch> ready_;
  std::exception_ptr failure_;
  bool stopping_ = false;
};

Loader::Loader(const Dataset& data, const DataSource& source, const LoaderOptions& options)
    : worker_(std::make_unique<Worker>(data, source, options)) {}

Loader::~Loader() = default;

std::int64_t Loader::batches_per_epoch() const {
  return worker_->batches_per_epoch();
}
void Loader::start_epoch(std::int64_t epoch, std::int64_t first_batch) {
  worker_->start_epoch(epoch, first_batch);
}
std::optional<Batch> Loader::next() {
  return worker_->next();
}
double Loader::wait_seconds() const {
  return worker_->wait_seconds();
}

}  // namespace sbp::experiments
