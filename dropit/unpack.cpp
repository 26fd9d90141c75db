#include <algorithm>
#include <bit>
#include <cstring>
#include <vector>

#include "dropit/cursor.h"
#include "dropit/pack.h"
#include "dropit/tasks.h"

namespace sbp::dropit {
namespace {

std::uint64_t mask_word(const std::uint8_t* mask, std::int64_t first, int count) {
  std::uint64_t flags = 0;
  for (int byte = 0; 8 * byte < count; ++byte) {
    flags |= std::uint64_t{mask[first / 8 + byte]} << (8 * byte);
  }
  return flags;
}

template <typename Bits>
class Unpacker {
 public:
  Unpacker(const PackJob& job, const Parts& parts, std::int64_t kept, void* data,
           const Workers& workers)
      : job_(job),
        parts_(parts),
        kept_(kept),
        values_(static_cast<const Bits*>(parts.values)),
        data_(static_cast<Bits*>(data)),
        workers_(workers) {}

  void run() const {
    switch (job_.rule.index) {
      case IndexForm::int64: return from_places<std::int64_t>();
      case IndexForm::int32: return from_places<std::int32_t>();
      case IndexForm::mask: return from_mask();
      case IndexForm::block: return from_blocks();
      case IndexForm::seed: return from_draws();
    }
  }

 private:
  std::vector<Task> tasks() const {
    return split(job_.groups.numel(), kBlock, 4 * workers_.threads);
  }

  // Runs place(task) for each, into zeros.
  template <typename Place>
  void fill(const std::vector<Task>& tasks, Place place) const {
    workers_.run(std::ssize(tasks), [&](std::int64_t i) {
      const Task& task = tasks[static_cast<std::size_t>(i)];
      std::memset(data_ + task.begin, 0,
                  static_cast<std::size_t>(task.end - task.begin) * sizeof(Bits));
      place(task, static_cast<std::size_t>(i));
    });
  }

  // The word's kept values; `next` is the first of them and is moved on.
  void put(std::uint64_t flags, std::int64_t first, std::int64_t& next) const {
    for (; flags != 0; flags &= flags - 1) data_[first + std::countr_zero(flags)] = values_[next++];
  }

  template <typename Index>
  void from_places() const {
    const auto* places = static_cast<const Index*>(parts_.index);
    fill(tasks(), [&](const Task& task, std::size_t) {
      const Index* const last = places + kept_;
      const Index* place = std::lower_bound(places, last, task.begin);
      for (; place != last && *place < task.end; ++place) data_[*place] = values_[place - places];
    });
  }

  void from_mask() const {
    const auto* mask = static_cast<const std::uint8_t*>(parts_.index);
    std::vector<Task> all = tasks();
    count_before(all, workers_, [&](const Task& task) {
      std::int64_t count = 0;
      for_each_word(task, [&](std::int64_t first, int width) {
        count += std::popcount(mask_word(mask, first, width));
      });
      return count;
    });
    fill(all, [&](const Task& task, std::size_t) {
      std::int64_t next = task.before;
      for_each_word(task, [&](std::int64_t first, int width) {
        put(mask_word(mask, first, width), first, next);
      });
    });
  }

  void from_blocks() const {
    const auto* places = static_cast<const std::uint8_t*>(parts_.index);
    std::vector<Task> all = tasks();
    count_before(all, workers_, [&](const Task& task) {
      std::int64_t count = 0;
      for (std::int64_t first = task.begin; first < task.end; first += kBlock) {
        count += parts_.counts[first / kBlock];
      }
      return count;
    });
    fill(all, [&](const Task& task, std::size_t) {
      std::int64_t next = task.before;
      for (std::int64_t first = task.begin; first < task.end; first += kBlock) {
        const std::int64_t end = next + parts_.counts[first / kBlock];
        for (; next < end; ++next) data_[first + places[next]] = values_[next];
      }
    });
  }

  void from_draws() const {
    const GroupTasks drawn(job_.groups, workers_.threads);
    fill(drawn.tasks, [&](const Task& task, std::size_t i) {
      GroupCursor<GroupDraws> cursor(job_.groups, drawn.first_groups[i], GroupDraws(job_.key));
      std::int64_t next = task.before;
      for_each_word(task, [&](std::int64_t first, int width) {
        put(cursor.flags(first, width), first, next);
      });
    });
  }

  const PackJob& job_;
  const Parts& parts_;
  std::int64_t kept_;
  const Bits* values_;
  Bits* data_;
  const Workers& workers_;
};

}  // namespace

void unpack(const PackJob& job, const Parts& parts, std::int64_t kept, void* data,
            const Workers& workers) {
  if (job.groups.numel() == 0) return;
  with_element(job.type, [&]<typename ElementT>(ElementT) {
    Unpacker<typename ElementT::Bits>(job, parts, kept, data, workers).run();
  });
}

}  // namespace sbp::dropit
