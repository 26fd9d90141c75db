#include "experiments/data/loader.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <numeric>
#include <thread>
#include <utility>

#include "sbp/base/error.h"
#include "sbp/random.h"

namespace sbp::experiments {
namespace {

// A byte's normalised value, by channel.
using Levels = std::vector<std::array<float, 256>>;

Levels make_levels(const DataSource& source, std::int64_t channels) {
  const auto count = static_cast<std::size_t>(channels);
  if (source.mean.size() != count || source.standard_deviation.size() != count) {
    throw Error(concat("cannot normalise images of ", channels, " channels with ",
                       source.mean.size(), " means and ", source.standard_deviation.size(),
                       " standard deviations"));
  }
  Levels levels(count);
  for (std::size_t channel = 0; channel < count; ++channel) {
    const double mean = source.mean[channel];
    const double deviation = source.standard_deviation[channel];
    for (std::size_t byte = 0; byte < 256; ++byte) {
      const double scaled = static_cast<double>(byte) / 255.0;
      levels[channel][byte] = static_cast<float>((scaled - mean) / deviation);
    }
  }
  return levels;
}

// How one image is cut and turned.
struct Augmentation {
  bool flip = false;
  std::int64_t down = 0;   // rows from the image's origin to the crop's; negative: padding first
  std::int64_t right = 0;  // columns, likewise
};

// Draws the same numbers whatever is switched on, so that one switch does not change the other.
Augmentation draw_augmentation(const LoaderOptions& options, std::int64_t epoch,
                               std::int64_t sample) {
  Augmentation chosen;
  if (!options.flip && options.crop_padding == 0) return chosen;
  RandomStream stream({.seed = options.seed,
                       .step = static_cast<std::uint32_t>(epoch),
                       .site = static_cast<std::uint32_t>(sample),
                       .purpose = Purpose::augment});
  const bool flip = stream.below(2) == 1;
  const auto places = static_cast<std::uint64_t>(2 * options.crop_padding + 1);
  chosen.down = static_cast<std::int64_t>(stream.below(places)) - options.crop_padding;
  chosen.right = static_cast<std::int64_t>(stream.below(places)) - options.crop_padding;
  chosen.flip = options.flip && flip;
  return chosen;
}

// One row of the crop: `level` of each of `row`'s bytes, black where the crop leaves the image.
void write_row(std::span<const std::uint8_t> row, const std::array<float, 256>& level,
               const Augmentation& how, std::span<float> out) {
  const auto width = static_cast<std::int64_t>(row.size());
  const std::int64_t first = std::clamp<std::int64_t>(-how.right, 0, width);
  const std::int64_t last = std::clamp<std::int64_t>(width - how.right, first, width);
  std::fill(out.begin(), out.begin() + first, level[0]);
  for (std::int64_t x = first; x < last; ++x) {
    out[static_cast<std::size_t>(x)] = level[row[static_cast<std::size_t>(x + how.right)]];
  }
  std::fill(out.begin() + last, out.end(), level[0]);
  if (how.flip) std::ranges::reverse(out);
}

void write_image(std::span<const std::uint8_t> pixels, const ImageGeometry& geometry,
                 const Levels& levels, const Augmentation& how, std::span<float> out) {
  const auto width = static_cast<std::size_t>(geometry.width);
  std::size_t place = 0;
  for (std::int64_t channel = 0; channel < geometry.channels; ++channel) {
    const std::array<float, 256>& level = levels[static_cast<std::size_t>(channel)];
    for (std::int64_t y = 0; y < geometry.height; ++y) {
      const std::int64_t source_row = y + how.down;
      const std::span<float> target = out.subspan(place, width);
      place += width;
      if (source_row < 0 || source_row >= geometry.height) {
        std::ranges::fill(target, level[0]);
        continue;
      }
      const std::int64_t start = (channel * geometry.height + source_row) * geometry.width;
      write_row(pixels.subspan(static_cast<std::size_t>(start), width), level, how, target);
    }
  }
}

void check_options(const LoaderOptions& options) {
  const auto require = [](bool good, std::string_view name, std::int64_t least,
                          std::int64_t value) {
    if (good) return;
    throw UsageError(concat(name, " must be at least ", least, ", not '", value, "'"));
  };
  require(options.batch >= 1, "batch", 1, options.batch);
  require(options.crop_padding >= 0, "crop padding", 0, options.crop_padding);
  require(options.prefetch >= 0, "prefetch", 0, options.prefetch);
  require(options.limit.value_or(1) >= 1, "limit of samples", 1, options.limit.value_or(1));
}

}  // namespace

// Makes the batches of one epoch, on a thread that lives as long as the epoch, or in next().
class Loader::Worker {
 public:
  Worker(const Dataset& data, const DataSource& source, const LoaderOptions& options)
      : data_(data), options_(options) {
    check_options(options);
    levels_ = make_levels(source, data.geometry().channels);
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
    stop();
    epoch_ = epoch;
    handed_out_ = first_batch;
    wait_seconds_ = 0.0;
    order_.resize(static_cast<std::size_t>(samples_));
    std::iota(order_.begin(), order_.end(), std::int64_t{0});
    if (options_.shuffle) {
      RandomStream stream({.seed = options_.seed,
                           .step = static_cast<std::uint32_t>(epoch),
                           .purpose = Purpose::shuffle});
      shuffle(order_, stream);
    }
    if (options_.prefetch > 0) {
      thread_ = std::thread([this, first_batch] { produce(first_batch); });
    }
  }

  std::optional<Batch> next() {
    if (order_.empty() || handed_out_ >= batches_per_epoch()) return std::nullopt;
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
  void produce(std::int64_t first_batch) {
    try {
      for (std::int64_t index = first_batch; index < batches_per_epoch(); ++index) {
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
  Batch make_batch(std::int64_t index) const {
    const ImageGeometry& geometry = data_.geometry();
    const auto elements = static_cast<std::size_t>(geometry.elements());
    const std::int64_t first = index * options_.batch;
    Batch batch;
    batch.size = std::min(options_.batch, samples_ - first);
    batch.images.resize(static_cast<std::size_t>(batch.size) * elements);
    std::vector<std::uint8_t> pixels(elements);
    for (std::int64_t i = 0; i < batch.size; ++i) {
      const std::int64_t sample = order_[static_cast<std::size_t>(first + i)];
      data_.read(sample, pixels);
      batch.labels.push_back(data_.label(sample));
      write_image(
          pixels, geometry, levels_, draw_augmentation(options_, epoch_, sample),
          std::span(batch.images).subspan(static_cast<std::size_t>(i) * elements, elements));
    }
    return batch;
  }

  const Dataset& data_;
  LoaderOptions options_;
  Levels levels_;
  std::int64_t samples_ = 0;

  // Of the epoch; the thread only reads them.
  std::int64_t epoch_ = 0;
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
