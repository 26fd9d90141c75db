#include "profiler/ownership.h"

namespace sbp::profiler {
namespace {

Category category_of(const Block& block, const Record& birth) {
  if (block.saved && Category::activation < block.tag) return Category::activation;
  if (block.tag != Category::unknown) return block.tag;
  if ((birth.detail & kInConvolution) != 0 && block.died_in_layer) return Category::workspace;
  if (block.died_in_op) return Category::temporary;
  if (block.phase == Phase::backward) return Category::autograd_detail;
  return Category::unknown;
}

class BirthLayers {
 public:
  BirthLayers(std::span<const Record> records, const Lifetimes& lifetimes, std::size_t layer_count)
      : records_(records), lifetimes_(lifetimes), layer_count_(layer_count) {}

  LayerId of(const Block& block) {
    const Record& birth = records_[block.birth];
    if ((birth.detail & kAccumulates) != 0 && known_layer(birth.layer, layer_count_) == kNoLayer) {
      return of_parameter(block.accumulates_into);
    }
    if (birth.layer != kNoLayer || birth.node == kNoNode) {
      return layer_computing(birth, lifetimes_, layer_count_);
    }
    if (birth.node != last_node_ || birth.thread != last_thread_) {
      last_node_ = birth.node;
      last_thread_ = birth.thread;
      last_layer_ = layer_computing(birth, lifetimes_, layer_count_);
    }
    return last_layer_;
  }

 private:
  LayerId of_parameter(std::uint32_t number) const {
    if (number == kNoBlock) return kNoLayer;
    const Block& parameter = lifetimes_.blocks[number];
    if (parameter.tag != Category::parameter) return kNoLayer;
    if (parameter.tag_layer != kNoLayer) return parameter.tag_layer;
    return known_layer(records_[parameter.birth].layer, layer_count_);
  }

  std::span<const Record> records_;
  const Lifetimes& lifetimes_;
  std::size_t layer_count_;
  // A node usually makes several blocks in a row.
  std::uint64_t last_node_ = kNoNode;
  std::uint16_t last_thread_ = 0;
  LayerId last_layer_ = kNoLayer;
};

}  // namespace

LayerId layer_computing(const Record& record, const Lifetimes& lifetimes, std::size_t layer_count) {
  const LayerId open = known_layer(record.layer, layer_count);
  if (open != kNoLayer || record.node == kNoNode) return open;
  return lifetimes.scopes.layer_of_node(record.thread, record.node);
}

std::vector<Owner> owners_of(std::span<const Record> records, const Lifetimes& lifetimes,
                             std::size_t layer_count) {
  std::vector<Owner> owners;
  owners.reserve(lifetimes.blocks.size());
  BirthLayers birth_layers(records, lifetimes, layer_count);
  for (const Block& block : lifetimes.blocks) {
    Owner owner;
    owner.category = category_of(block, records[block.birth]);
    owner.phase = block.phase;
    owner.born_in = birth_layers.of(block);
    owner.layer = owner.born_in;
    if (block.tag_layer != kNoLayer) owner.layer = block.tag_layer;
    if (owner.category == Category::activation && block.save_layer != kNoLayer) {
      owner.layer = block.save_layer;
    }
    owners.push_back(owner);
  }
  return owners;
}

}  // namespace sbp::profiler
