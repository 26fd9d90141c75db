// Sums of gradients on Meta, made where the CPU and CUDA make them.
//
// Where several gradients meet, autograd adds the later ones into the first if nobody else holds
// it (InputBuffer::accumulate); on Meta, whose tensors it takes for subclasses, it makes a third
// tensor each time. The kernel below gives the first one back, which is then the sum.
#include <ATen/core/Tensor.h>
#include <ATen/ops/add_meta_dispatch.h>
#include <ATen/record_function.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/function.h>
#include <torch/library.h>

#include <memory>
#include <vector>

#include "profiler/torch/meta_kernels.h"

namespace sbp::profiler {
namespace {

using at::Tensor;
using torch::autograd::Node;

// The nodes that this thread computes, one inside the other.
thread_local std::vector<const Node*> computing;

std::unique_ptr<at::ObserverContext> enter_node(const at::RecordFunction&) {
  computing.push_back(torch::autograd::get_current_node().get());
  return nullptr;
}

void leave_node(const at::RecordFunction&, at::ObserverContext*) {
  if (!computing.empty()) computing.pop_back();
}

// Between a node's end and the next one's start this thread is in the engine, which adds gradients
// and nothing else. The conditions on `first` are the engine's.
bool is_sum_of_gradients(const Tensor& first, const Tensor& second) {
  if (c10::GradMode::is_enabled()) return false;
  const Node* const last = torch::autograd::get_current_node().get();
  if (last == nullptr || (!computing.empty() && computing.back() == last)) return false;
  return first.use_count() == 1 && first.has_storage() && first.storage().use_count() == 1 &&
         first.is_non_overlapping_and_dense() && first.sizes() == second.sizes() &&
         first.scalar_type() == second.scalar_type();
}

Tensor add(const Tensor& self, const Tensor& other, const at::Scalar& alpha) {
  if (is_sum_of_gradients(self, other)) return self;
  return at::meta::add(self, other, alpha);
}

}  // namespace

void add_meta_accumulation(torch::Library& library) {
  at::addGlobalCallback(at::RecordFunctionCallback(&enter_node, &leave_node)
                            .scopes({at::RecordScope::BACKWARD_FUNCTION}));
  library.impl("add.Tensor", &add);
}

}  // namespace sbp::profiler
