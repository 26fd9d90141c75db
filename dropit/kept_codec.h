// The codec of DropIT and its relatives: some elements of a tensor, and where they were.
#pragma once

#include <memory>

#include "dropit/keep_rule.h"
#include "sbp/saved.h"

namespace sbp::dropit {

// Parts: values in the tensor's type, then what the index form has (labelled index; block: places,
// then counts as int16). Decodes to zeros with the kept values in their places.
//
// Floating-point tensors on CPU, and on Meta, where a selection that depends on the data counts
// what a normal distribution would keep. The order of elements is that of memory, which of a
// contiguous tensor is the index; a sample or row that does not lie together is copied first. NaN
// counts as largest and so is kept. encode throws Error for a tensor of which the rule keeps
// nothing (unless it is a released count), for int32 indices of 2^31 elements or more, and for
// other types and devices.
std::shared_ptr<const SavedCodec> kept_codec(const KeepRule& rule);

// The results of a ReLU: bit i % 8 of byte i / 8 is set where element i is not 0 or less (NaN is
// not), and decodes to 1.
std::shared_ptr<const SavedCodec> sign_codec();

// The codec that a plan names by `spec`; null where it is none of these.
std::shared_ptr<const SavedCodec> make_codec(const Spec& spec);

}  // namespace sbp::dropit
