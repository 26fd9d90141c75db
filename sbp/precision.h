// Mixed precision: a policy of our own layers, so that it is the same on every device.
//
// Two lists say what computes in 16 bit, those of LibTorch's autocast (ATen/autocast_mode). In
// both, linears, convolutions and matmuls take 16-bit operands and the loss takes fp32; GELU, ReLU,
// batch norm and pooling take what comes, and x + y of two types is fp32. By CUDA's list layer norm
// and softmax are fp32; by CPU's they take what comes. CUDA's list of PyTorch 1.9 and before has
// GELU in fp32 as well (pytorch#59639).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <unordered_map>

namespace sbp {

// Nothing here casts fp64. Where nothing is to be cast the argument itself comes back.
struct Precision {
  at::ScalarType low = at::kFloat;  // kBFloat16, kHalf; kFloat: nothing is cast at all
  bool full_norms = true;           // CUDA's list; false: CPU's
  bool full_gelu = false;           // CUDA's list up to PyTorch 1.9

  bool is_mixed() const { return low != at::kFloat; }

  // As a linear, a convolution or a matmul takes it.
  at::Tensor operand(const at::Tensor& x) const;
  // As layer norm takes it.
  at::Tensor norm_input(const at::Tensor& x) const;
  // As GELU takes it.
  at::Tensor gelu_input(const at::Tensor& x) const;
  // As the loss takes logits: never 16 bit.
  at::Tensor loss_input(const at::Tensor& logits) const;
  // Over the last dimension, in the type of `scores`. By CUDA's list a 16-bit map is a cast of the
  // fp32 one that autograd keeps.
  at::Tensor softmax(const at::Tensor& scores) const;
};

// 16-bit copies of weights and biases, made on first use and kept until they are dropped.
class WeightCopies {
 public:
  explicit WeightCopies(const Precision& precision) : precision_(precision) {}

  // `weight` itself where nothing is to be cast; an undefined one stays so. A copy carries gradient
  // to its weight even if the first use does not record. A weight that changed is copied anew.
  at::Tensor of(const at::Tensor& weight);
  // The copy that is kept of `weight`; undefined where there is none.
  at::Tensor kept(const at::Tensor& weight) const;
  void drop() { copies_.clear(); }

 private:
  struct Copy {
    at::Tensor weight;  // held, so that its address stays its own
    at::Tensor copy;
    std::int64_t version = 0;  // of the weight when it was copied
  };

  Precision precision_;
  std::unordered_map<const void*, Copy> copies_;  // by the weight's implementation
};

}  // namespace sbp
