// Where in the model the calling thread is: layer scopes, phases, and what a save is for.
//
// Models and strategies open scopes; whoever measures observes them. Neither knows the other.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace sbp {

// Index into a LayerTable.
using LayerId = std::int32_t;
inline constexpr LayerId kNoLayer = -1;

// What a training step is doing. `setup` is everything before the first phase is announced.
enum class Phase : std::uint8_t { setup, forward, backward, optimizer_step, evaluation };
inline constexpr int kPhaseCount = 5;
std::string_view to_string(Phase phase);

// What a tensor kept for backward holds. `index` and `scale` are what a strategy pays on top.
enum class SaveLabel : std::uint8_t { value, index, scale };

// The layers of one run, in forward order. Names are dotted paths ("blocks.3.mlp.fc1"); a parent
// ("blocks.3.mlp") has an id of its own and is added before its children.
class LayerTable {
 public:
  struct Layer {
    std::string name;
    std::string kind;  // a SiteKind's word, or "model", "block", "loss", "optimizer", ...
  };

  // The id of `name`, added (with any missing parents, of kind "module") if it is new.
  LayerId add(std::string_view name, std::string_view kind);
  // kNoLayer when there is none of that name.
  LayerId find(std::string_view name) const;
  const Layer& operator[](LayerId id) const { return layers_.at(static_cast<std::size_t>(id)); }
  const std::vector<Layer>& layers() const { return layers_; }

 private:
  std::vector<Layer> layers_;
  std::unordered_map<std::string, LayerId> ids_;
};

// Told of every layer scope that opens or closes, on the thread that does it.
class ScopeObserver {
 public:
  virtual ~ScopeObserver() = default;
  virtual void layer_entered(LayerId layer) noexcept = 0;
  virtual void layer_left(LayerId layer) noexcept = 0;
};

// Sets the process's observer (nullptr: none) and returns the one before; the caller keeps it alive
// until it is replaced. Not to be called while other threads have scopes open.
ScopeObserver* set_scope_observer(ScopeObserver* observer) noexcept;

// The innermost open layer of this thread, or kNoLayer.
LayerId current_layer() noexcept;
// What saves of this thread are for; `value` unless a ScopedSaveLabel says otherwise.
SaveLabel current_save_label() noexcept;

class ScopedLayer {
 public:
  explicit ScopedLayer(LayerId layer) noexcept;
  ~ScopedLayer();
  ScopedLayer(const ScopedLayer&) = delete;
  ScopedLayer& operator=(const ScopedLayer&) = delete;

 private:
  LayerId layer_;
  LayerId outer_;
};

class ScopedSaveLabel {
 public:
  explicit ScopedSaveLabel(SaveLabel label) noexcept;
  ~ScopedSaveLabel();
  ScopedSaveLabel(const ScopedSaveLabel&) = delete;
  ScopedSaveLabel& operator=(const ScopedSaveLabel&) = delete;

 private:
  SaveLabel outer_;
};

}  // namespace sbp
