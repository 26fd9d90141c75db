#include "profiler/torch/saved_tensor_engine.h"

#ifndef AT_PER_OPERATOR_HEADERS
#define AT_PER_OPERATOR_HEADERS  // LibTorch's headers then bring in single operators, not all
#endif
#include <torch/csrc/autograd/engine.h>

#include <memory>
#include <optional>

#include "profiler/torch/meta_gradient_sum.h"
#include "profiler/torch/origin.h"
#include "profiler/torch/recording.h"
#include "sbp/base/scope.h"

namespace sbp::profiler {
namespace {

// One saved tensor. Autograd makes it when it saves and destroys it when it lets go.
class TracedSave final : public torch::autograd::SavedVariableHooks {
 public:
  ~TracedSave() override {
    if (!logged_) return;
    Record record = layer_record(RecordKind::release);
    record.address = address_;
    record.bytes = bytes_;
    record.node = number_;
    log_release(record);
  }

  void call_pack_hook(const at::Tensor& tensor) override {
    // An alias, because an output that its own node kept would be a cycle. It shares storage and
    // version counter and knows nothing of the graph; autograd puts that back when it unpacks.
    kept_ = tensor.tensor_data();
    version_ = tensor._version();
    if (const auto block = storage_block(tensor)) log_save(*block);
  }

  at::Tensor call_unpack_hook() override {
    // With hooks in place LibTorch leaves out this check of its own.
    TORCH_CHECK(kept_._version() == version_,
                "one of the variables needed for gradient computation has been modified by an "
                "inplace operation: [",
                kept_.toString(), " ", kept_.sizes(), "] is at version ", kept_._version(),
                "; expected version ", version_, " instead");
    return kept_;
  }

 private:
  void log_save(const StorageBlock& block) noexcept {
    address_ = block.address;
    bytes_ = static_cast<std::int64_t>(kept_.nbytes());
    if (bytes_ == 0) return;  // shows nothing of its storage
    number_ = new_save_number();
    Record record = layer_record(RecordKind::save);
    record.address = address_;
    record.bytes = bytes_;
    record.node = number_;
    record.detail = static_cast<std::uint8_t>(current_save_label());
    logged_ = log_for(block.device, record);
  }

  at::Tensor kept_;
  std::int64_t version_ = 0;
  std::uint64_t address_ = 0;
  std::int64_t bytes_ = 0;
  std::uint64_t number_ = 0;
  bool logged_ = false;
};

class TracingEngine final : public torch::autograd::Engine {
 public:
  // Its worker threads must be gone before the virtual functions are.
  ~TracingEngine() override { stop(); }

  torch::autograd::variable_list execute(const torch::autograd::edge_list& roots,
                                         const torch::autograd::variable_list& gradients,
                                         bool keep_graph, bool create_graph, bool accumulate,
                                         const torch::autograd::edge_list& outputs) override {
    std::optional<MetaGradientSums> sums;
    if (!gradients.empty() && gradients.front().is_meta()) sums.emplace();
    return Engine::execute(roots, gradients, keep_graph, create_graph, accumulate, outputs);
  }

  std::unique_ptr<torch::autograd::SavedVariableHooks> get_default_saved_variable_hooks() override {
    if (!is_recording()) return nullptr;
    return std::make_unique<TracedSave>();
  }
};

torch::autograd::Engine& tracing_engine() {
  static TracingEngine engine;
  return engine;
}

}  // namespace

void install_saved_tensor_engine() {
  torch::autograd::set_default_engine_stub(&tracing_engine);
}

}  // namespace sbp::profiler
