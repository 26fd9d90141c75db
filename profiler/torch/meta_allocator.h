// The allocator of the Meta device that counts: sizes and lifetimes, no memory.
#pragma once

namespace c10 {
class DataPtr;
}

namespace sbp::profiler {

// Makes LibTorch take all Meta "memory" from the counting allocator from now on. Its blocks have
// addresses that are not null, never given out twice and never to be read or written.
void install_meta_allocator();

// Did `data` come from it?
bool is_counted_meta_block(const c10::DataPtr& data) noexcept;

}  // namespace sbp::profiler
