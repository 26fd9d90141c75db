// Sums of gradients on Meta, in place as on other devices.
//
// Where several gradients arrive at one place, autograd adds to the one that came first, if nobody
// else holds it. It does not on Meta, where it takes every tensor for one of a subclass, and makes
// a new tensor for each sum. The Meta kernel of add, which it then calls, gives the first back.
#pragma once

namespace sbp::profiler {

// While one lives, the kernel can tell a sum that autograd makes between two nodes of the calling
// thread's backward pass from an addition inside of a node. May be nested.
class MetaGradientSums {
 public:
  MetaGradientSums();
  ~MetaGradientSums();
  MetaGradientSums(const MetaGradientSums&) = delete;
  MetaGradientSums& operator=(const MetaGradientSums&) = delete;

 private:
  int outer_;
};

}  // namespace sbp::profiler
