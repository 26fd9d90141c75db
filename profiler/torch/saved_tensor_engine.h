// Sees what autograd saves.
#pragma once

namespace sbp::profiler {

// Makes LibTorch use an autograd engine whose saved-tensor hooks feed the active trace. Before
// the first graph is built: LibTorch's own engine may not be replaced while it works.
void install_saved_tensor_engine();

}  // namespace sbp::profiler
