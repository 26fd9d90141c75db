// Kernels that LibTorch lacks on the Meta device.
//
// Each gives results of the shape, strides, dtype and storage size that the CPU's kernel gives,
// so that a step on Meta saves and holds what the step on the CPU does. Scratch memory inside a
// CPU kernel is not imitated.
#pragma once

namespace torch {
class Library;
}

namespace sbp::profiler {

// Registers them all, for the life of the process. Once.
void register_meta_kernels();

// The groups it consists of, one a source file.
void add_meta_convolution(torch::Library& library);
void add_meta_normalisation(torch::Library& library);
void add_meta_attention(torch::Library& library);
void add_meta_shape_operators(torch::Library& library);
void add_meta_activations(torch::Library& library);
void add_meta_gradient_sum(torch::Library& library);

}  // namespace sbp::profiler
