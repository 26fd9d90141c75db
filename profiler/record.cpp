#include "profiler/record.h"

namespace sbp::profiler {

std::string_view to_string(Category category) {
  switch (category) {
    case Category::parameter: return "parameter";
    case Category::buffer: return "buffer";
    case Category::average: return "average";
    case Category::weight_copy: return "weight_copy";
    case Category::input: return "input";
    case Category::gradient: return "gradient";
    case Category::optimizer_state: return "optimizer_state";
    case Category::activation: return "activation";
    case Category::workspace: return "workspace";
    case Category::autograd_detail: return "autograd_detail";
    case Category::temporary: return "temporary";
    case Category::unknown: return "unknown";
  }
  return "unknown";
}

}  // namespace sbp::profiler
