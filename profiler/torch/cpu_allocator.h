// The CPU allocator that counts.
#pragma once

namespace c10 {
class DataPtr;
}

namespace sbp::profiler {

// Makes LibTorch take all CPU memory from the counting allocator from now on. Blocks that exist
// already stay with the allocator they came from and are never seen.
void install_cpu_allocator();

// Did `data` come from it?
bool is_counted_cpu_block(const c10::DataPtr& data) noexcept;

}  // namespace sbp::profiler
