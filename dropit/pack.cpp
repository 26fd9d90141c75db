#include "dropit/pack.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>
#include <vector>

#include "dropit/cursor.h"
#include "dropit/tasks.h"

namespace sbp::dropit {
namespace {

// x with erf(x) = y, 0 <= y < 1.
double inverse_error_function(double y) {
  double low = 0.0, high = 6.0;  // erf(6) is 1 in double precision
  for (int i = 0; i < 80; ++i) {
    const double middle = 0.5 * (low + high);
    (std::erf(middle) < y ? low : high) = middle;
  }
  return high;
}

// Puts kept values and their places where they belong.
template <typename Bits>
class Writer {
 public:
  Writer(const Bits* data, const Parts& parts, IndexForm form)
      : data_(data), values_(static_cast<Bits*>(parts.values)), parts_(parts), form_(form) {}

  // flags of `count` elements from `first`; `out` were kept before.
  void write(std::uint64_t flags, std::int64_t first, int count, std::int64_t out) const {
    std::int64_t n = out;
    for (std::uint64_t rest = flags; rest != 0; rest &= rest - 1) {
      values_[n++] = data_[first + std::countr_zero(rest)];
    }
    switch (form_) {
      case IndexForm::int64: return write_places<std::int64_t>(flags, first, out);
      case IndexForm::int32: return write_places<std::int32_t>(flags, first, out);
      case IndexForm::mask: return write_mask(flags, first, count);
      case IndexForm::block: return write_block(flags, first, out);
      case IndexForm::seed: return;
    }
  }

 private:
  template <typename Place>
  void write_places(std::uint64_t flags, std::int64_t base, std::int64_t out) const {
    auto* places = static_cast<Place*>(parts_.index);
    for (; flags != 0; flags &= flags - 1) {
      places[out++] = static_cast<Place>(base + std::countr_zero(flags));
    }
  }
  void write_mask(std::uint64_t flags, std::int64_t first, int count) const {
    auto* bytes = static_cast<std::uint8_t*>(parts_.index) + first / 8;
    for (int byte = 0; 8 * byte < count; ++byte) {
      bytes[byte] = static_cast<std::uint8_t>(flags >> (8 * byte));
    }
  }
  void write_block(std::uint64_t flags, std::int64_t first, std::int64_t out) const {
    const std::int64_t place = first % kBlock;
    write_places<std::uint8_t>(flags, place, out);
    std::int16_t& count = parts_.counts[first / kBlock];
    const int before = place == 0 ? 0 : count;
    count = static_cast<std::int16_t>(before + std::popcount(flags));
  }

  const Bits* data_;
  Bits* values_;
  const Parts& parts_;
  IndexForm form_;
};

template <typename ElementT>
class Packer {
 public:
  using Bits = typename ElementT::Bits;

  Packer(const PackJob& job, const void* data, const std::function<Parts(std::int64_t)>& allocate,
         const Workers& workers)
      : job_(job), data_(static_cast<const Bits*>(data)), allocate_(allocate), workers_(workers) {}

  void run() const {
    switch (job_.rule.selection) {
      case Selection::mink: return largest<ByMagnitude<ElementT>>();
      case Selection::chunk: return largest<ByValue<ElementT>>();
      case Selection::random: return by_group(GroupDraws(job_.key));
      case Selection::nsigma: return distant();
    }
  }

 private:
  template <typename MakeCursor>
  void write(const std::vector<Task>& tasks, std::int64_t kept, MakeCursor make_cursor) const {
    const Parts parts = allocate_(kept);
    const Writer<Bits> writer(data_, parts, job_.rule.index);
    workers_.run(std::ssize(tasks), [&](std::int64_t i) {
      const Task& task = tasks[static_cast<std::size_t>(i)];
      auto cursor = make_cursor(static_cast<std::size_t>(i));
      std::int64_t out = task.before;
      for_each_word(task, [&](std::int64_t first, int count) {
        const std::uint64_t flags = cursor.flags(first, count);
        writer.write(flags, first, count, out);
        out += std::popcount(flags);
      });
    });
  }

  template <typename Order>
  void largest() const {
    if (job_.groups.count() > 1) return by_group(GroupThresholds<Order, Bits>(data_));
    std::vector<Task> tasks = split(job_.groups.numel(), kBlock, workers_.threads);
    std::vector<Portion> portions;
    for (const Task& task : tasks) portions.push_back({task.begin, task.end});
    const std::int64_t kept = job_.groups.kept();
    using Search = ThresholdSearch<Order, Bits>;
    const auto whole = Search::run(data_, portions, kept, workers_);
    std::vector<Threshold<typename Order::Key>> thresholds;
    std::int64_t before = 0, ties = whole.ties;
    for (std::size_t i = 0; i < tasks.size(); ++i) {
      tasks[i].before = before;
      thresholds.push_back({whole.key, ties});
      const std::int64_t own = std::min(ties, portions[i].ties);
      before += portions[i].above + own;
      ties -= own;
    }
    write(tasks, kept,
          [&](std::size_t i) { return ThresholdCursor<Order, Bits>(data_, thresholds[i]); });
  }

  template <typename Inner>
  void by_group(const Inner& inner) const {
    const GroupTasks split_up(job_.groups, workers_.threads);
    write(split_up.tasks, job_.groups.kept(), [&](std::size_t i) {
      return GroupCursor<Inner>(job_.groups, split_up.first_groups[i], inner);
    });
  }

  void distant() const {
    const auto [mean, deviation] = moments();
    const double limit = std::sqrt(2.0) * inverse_error_function(job_.rule.gamma) * deviation;
    const DistanceCursor<ElementT> cursor(data_, mean, limit);
    std::vector<Task> tasks = split(job_.groups.numel(), kBlock, workers_.threads);
    const std::int64_t kept = count_before(tasks, workers_, [&](const Task& task) {
      std::int64_t count = 0;
      for_each_word(task, [&](std::int64_t first, int width) {
        count += std::popcount(cursor.flags(first, width));
      });
      return count;
    });
    write(tasks, kept, [&](std::size_t) { return cursor; });
  }

  struct Moments {
    double mean, deviation;
  };
  // Of all elements, with n - 1; summed in parts of one size, so that threads change no digit.
  Moments moments() const {
    constexpr std::int64_t kPart = 65'536;
    const std::int64_t numel = job_.groups.numel();
    std::vector<double> sums(static_cast<std::size_t>((numel + kPart - 1) / kPart));
    const auto sum = [&](auto term) {
      workers_.run(std::ssize(sums), [&](std::int64_t part) {
        double total = 0.0;
        const std::int64_t end = std::min((part + 1) * kPart, numel);
        for (std::int64_t i = part * kPart; i < end; ++i) total += term(ElementT::value(data_[i]));
        sums[static_cast<std::size_t>(part)] = total;
      });
      return std::accumulate(sums.begin(), sums.end(), 0.0);
    };
    const double mean = sum([](double x) { return x; }) / static_cast<double>(numel);
    const double squares = sum([mean](double x) { return (x - mean) * (x - mean); });
    return {mean, std::sqrt(squares / static_cast<double>(numel - 1))};
  }

  const PackJob& job_;
  const Bits* data_;
  const std::function<Parts(std::int64_t)>& allocate_;
  const Workers& workers_;
};

}  // namespace

void pack(const PackJob& job, const void* data,
          const std::function<Parts(std::int64_t kept)>& allocate, const Workers& workers) {
  if (job.groups.numel() == 0) return;
  with_element(job.type, [&]<typename ElementT>(ElementT) {
    Packer<ElementT>(job, data, allocate, workers).run();
  });
}

}  // namespace sbp::dropit
