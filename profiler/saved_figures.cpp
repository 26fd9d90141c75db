#include "profiler/saved_figures.h"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <utility>

namespace sbp::profiler {
namespace {

// Parameters, what is made of them, buffers and the batch: there without backward, too.
bool left_out(Category category) {
  return category <= Category::input;
}

class Figures {
 public:
  explicit Figures(std::span<const LayerId> parents) : parents_(parents), within_(parents.size()) {
    result_.layers.resize(parents.size());
  }

  // All saves of one storage.
  void add_storage(std::span<const Save> saves, std::int64_t bytes) {
    const bool overhead = std::ranges::none_of(
        saves, [](SaveLabel label) { return label == SaveLabel::value; }, &Save::label);
    const std::int64_t index_bytes = overhead ? bytes : 0;
    std::size_t outside = 0;
    for (const Save& save : saves) {
      add_save(result_.total, save);
      if (save.layer == kNoLayer) {
        ++outside;
        add_save(result_.outside, save);
      }
      for_each_holder(save.layer, [&](std::size_t layer) {
        add_save(result_.layers[layer], save);
        ++within_[layer];
      });
    }
    add_storage_to(result_.total, bytes, index_bytes, true);
    if (outside > 0) add_storage_to(result_.outside, bytes, index_bytes, outside == saves.size());
    for (const Save& save : saves) {
      for_each_holder(save.layer, [&](std::size_t layer) {
        if (within_[layer] == 0) return;  // met before
        const bool only_saver = within_[layer] == saves.size();
        add_storage_to(result_.layers[layer], bytes, index_bytes, only_saver);
        within_[layer] = 0;
      });
    }
  }

  SavedFigures take() && { return std::move(result_); }

 private:
  static void add_save(SavedBytes& figures, const Save& save) {
    figures.logical_bytes += save.logical_bytes;
    ++figures.count;
  }

  static void add_storage_to(SavedBytes& figures, std::int64_t bytes, std::int64_t index_bytes,
                             bool only_saver) {
    figures.distinct_bytes += bytes;
    figures.index_bytes += index_bytes;
    if (only_saver) figures.marginal_bytes += bytes;
  }

  // The layer and all its parents.
  template <typename Visit>
  void for_each_holder(LayerId layer, Visit visit) {
    for (; layer != kNoLayer; layer = parents_[static_cast<std::size_t>(layer)]) {
      visit(static_cast<std::size_t>(layer));
    }
  }

  std::span<const LayerId> parents_;
  std::vector<std::size_t> within_;  // saves of the storage at hand inside each layer; else 0
  SavedFigures result_;
};

}  // namespace

SavedFigures saved_figures(std::span<const Save> held, std::span<const Block> blocks,
                           std::span<const Owner> owners, std::span<const LayerId> parents) {
  std::vector<Save> saves;
  std::ranges::copy_if(held, std::back_inserter(saves),
                       [&](const Save& save) { return !left_out(owners[save.block].category); });
  std::ranges::stable_sort(saves, {}, &Save::block);
  Figures figures(parents);
  for (auto first = saves.begin(); first != saves.end();) {
    const auto last = std::ranges::find_if(
        first, saves.end(), [&](std::uint32_t block) { return block != first->block; },
        &Save::block);
    figures.add_storage({first, last}, blocks[first->block].bytes);
    first = last;
  }
  return std::move(figures).take();
}

}  // namespace sbp::profiler
