#include "profiler/torch/meta_gradient_sum.h"

#include <ATen/core/Tensor.h>
#include <ATen/ops/add_meta_dispatch.h>
#include <ATen/record_function.h>
#include <c10/core/GradMode.h>
#include <torch/library.h>

#include <memory>

#include "profiler/torch/meta_kernels.h"

namespace sbp::profiler {
namespace {

using at::Tensor;

constexpr int kNoPass = -1;

// Nodes that run on this thread, one inside of another, and how many did when the innermost
// backward pass began.
constinit thread_local int running_nodes = 0;
constinit thread_local int nodes_around_pass = kNoPass;
constinit thread_local at::CallbackHandle watch = 0;

std::unique_ptr<at::ObserverContext> node_starts(const at::RecordFunction&) {
  ++running_nodes;
  return nullptr;
}

void node_ends(const at::RecordFunction&, at::ObserverContext*) {
  --running_nodes;
}

bool is_of_no_other_use(const Tensor& tensor) {
  return tensor.use_count() == 1 && tensor.storage().use_count() == 1 &&
         tensor.is_non_overlapping_and_dense();
}

Tensor add(const Tensor& self, const Tensor& other, const at::Scalar& alpha) {
  const bool is_gradient_sum = running_nodes == nodes_around_pass && !c10::GradMode::is_enabled();
  if (is_gradient_sum && self.is_meta() && other.is_meta() && is_of_no_other_use(self) &&
      self.sizes() == other.sizes() && self.scalar_type() == other.scalar_type()) {
    return self;
  }
  return at::meta::add(self, other, alpha);
}

}  // namespace

MetaGradientSums::MetaGradientSums() : outer_(nodes_around_pass) {
  if (outer_ == kNoPass) {
    watch = at::addThreadLocalCallback(at::RecordFunctionCallback(&node_starts, &node_ends)
                                           .scopes({at::RecordScope::BACKWARD_FUNCTION}));
    running_nodes = 0;
  }
  nodes_around_pass = running_nodes;
}

MetaGradientSums::~MetaGradientSums() {
  nodes_around_pass = outer_;
  if (outer_ == kNoPass) at::removeCallback(watch);
}

void add_meta_gradient_sum(torch::Library& library) {
  library.impl("add.Tensor", &add);
}

}  // namespace sbp::profiler
