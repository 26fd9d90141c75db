#include <ATen/core/Tensor.h>
#include <ATen/ops/add.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/sum.h>
#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <limits>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>

#include "profiler/ledger.h"
#include "sbp/base/error.h"
#include "tests/torch/profiler/traced.h"

// Last: see there.
#include "tests/torch/doctest.h"

namespace sbp::profiler::test {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

TEST_CASE("tracer: the live counter is exact and independent of a trace") {
  for (const DeviceId& device : {kCpu, kMeta}) {
    const auto options = at::TensorOptions(device == kMeta ? at::kMeta : at::kCPU);
    const std::int64_t before = live_bytes(device);
    reset_peak_live_bytes(device);
    {
      const at::Tensor a = at::empty({3, 5}, options);                    // 60 bytes
      const at::Tensor b = at::empty({7}, options.dtype(at::kBFloat16));  // 14
      const at::Tensor view = a.view({15}).slice(0, 2, 9);                // none
      const at::Tensor nothing = at::empty({0, 4}, options);              // none
      CHECK(live_bytes(device) - before == 74);
    }
    CHECK(live_bytes(device) == before);
    CHECK(peak_live_bytes(device) - before == 74);
    reset_peak_live_bytes(device);
    CHECK(peak_live_bytes(device) == before);
  }
  CHECK(live_bytes({.kind = DeviceId::Kind::cuda}) == 0);
}

TEST_CASE("tracer: CPU blocks are aligned, and fit what LibTorch asks of raw allocation") {
  c10::Allocator* allocator = c10::GetCPUAllocator();
  const std::int64_t before = live_bytes(kCpu);
  void* raw = allocator->raw_allocate(1000);
  CHECK(reinterpret_cast<std::uintptr_t>(raw) % 64 == 0);
  CHECK(live_bytes(kCpu) - before == 1000);
  allocator->raw_deallocate(raw);
  allocator->raw_deallocate(nullptr);
  CHECK(live_bytes(kCpu) == before);
  const char text[] = "copied";
  const c10::DataPtr source = allocator->clone(text, sizeof text);
  CHECK(std::string(static_cast<const char*>(source.get())) == "copied");
}

TEST_CASE("tracer: an allocation that cannot be made says its size and leaves the books alone") {
  const std::int64_t before = live_bytes(kCpu);
  const std::int64_t bytes = std::int64_t{1} << 60;
#ifndef __SANITIZE_ADDRESS__  // which ends the program instead of letting the system say no
  CHECK_THROWS_WITH_AS(c10::GetCPUAllocator()->allocate(static_cast<std::size_t>(bytes)),
                       doctest::Contains("1152921504606846976 bytes"), c10::OutOfMemoryError);
#endif
  CHECK_THROWS_AS(c10::GetCPUAllocator()->allocate(std::numeric_limits<std::size_t>::max()),
                  c10::OutOfMemoryError);
  CHECK_THROWS_AS(c10::GetAllocator(at::kMeta)->allocate(static_cast<std::size_t>(bytes)),
                  c10::OutOfMemoryError);
  CHECK(live_bytes(kCpu) == before);
}

TEST_CASE("tracer: Meta addresses are never given out twice and never overlap") {
  const auto options = at::TensorOptions(at::kMeta);
  std::set<std::uint64_t> seen;
  std::uint64_t end = 0;
  for (std::int64_t i = 1; i < 100; ++i) {
    const at::Tensor tensor = at::empty({i}, options);
    const std::uint64_t address = address_of(tensor);
    CHECK(address >= end);
    CHECK(address % 64 == 0);
    CHECK(seen.insert(address).second);
    end = address + static_cast<std::uint64_t>(4 * i);
  }
}

TEST_CASE("tracer: blocks older than the trace come first, oldest first") {
  LayerTable layers;
  const at::Tensor first = at::ones({11});
  const at::Tensor second = at::ones({13});
  const std::int64_t live_before = live_bytes(kCpu);
  const Trace trace = traced(kCpu, layers, [](Tracer& tracer) {
    tracer.enter(Phase::forward);
    const at::Tensor third = at::ones({17});
  });
  std::int64_t sum = 0;
  std::size_t first_at = 0;
  std::size_t second_at = 0;
  std::size_t i = 0;
  for (; trace.records[i].kind == RecordKind::allocate; ++i) {
    sum += trace.records[i].bytes;
    if (trace.records[i].address == address_of(first)) first_at = i;
    if (trace.records[i].address == address_of(second)) second_at = i;
    CHECK(trace.records[i].layer == kNoLayer);
    CHECK(trace.records[i].node == kNoNode);
  }
  CHECK(sum == live_before);
  CHECK(trace.records[i].kind == RecordKind::phase);
  CHECK(trace.records[i].bytes == live_before);
  CHECK(trace.records[first_at].bytes == 44);
  CHECK(trace.records[second_at].bytes == 52);
  CHECK(first_at < second_at);
  CHECK(trace.live_at_end_bytes == live_before);
  CHECK(trace.dropped_records == 0);
}

TEST_CASE("tracer: only blocks of the traced device are in the books") {
  LayerTable layers;
  for (const DeviceId& device : {kCpu, kMeta}) {
    const Trace trace = traced(device, layers, [](Tracer& tracer) {
      const at::Tensor on_cpu = at::empty({1021});
      const at::Tensor on_meta = at::empty({1019}, at::TensorOptions(at::kMeta));
      tracer.tag(on_cpu, Category::parameter);
      tracer.tag(on_meta, Category::parameter);
      tracer.tag(at::Tensor(), Category::parameter);
    });
    const auto count = [&](std::int64_t bytes) {
      return std::count_if(trace.records.begin(), trace.records.end(),
                           [&](const Record& r) { return r.bytes == bytes; });
    };
    CHECK(count(4084) == (device == kCpu ? 2 : 0));  // allocate and free
    CHECK(count(4076) == (device == kMeta ? 2 : 0));
    REQUIRE(of_kind(trace, RecordKind::tag).size() == 1);
    const Record tag = of_kind(trace, RecordKind::tag)[0];
    CHECK(tag.detail == static_cast<std::uint8_t>(Category::parameter));
  }
}

TEST_CASE("tracer: saved views of one storage have its address, and each its own bytes") {
  LayerTable layers;
  const LayerId layer = layers.add("views", "module");
  at::Tensor w = at::ones({8}).requires_grad_(true);
  const at::Tensor storage = at::ones({64});
  const Trace trace = traced(kCpu, layers, [&](Tracer&) {
    const ScopedLayer scope(layer);
    const at::Tensor a = at::mul(w, storage.slice(0, 0, 8));
    const at::Tensor b = at::mul(w, storage.slice(0, 32, 33));
    const at::Tensor c = at::mul(w, storage.view({8, 8}).select(1, 3));
  });
  const auto saves = of_kind(trace, RecordKind::save);
  std::vector<std::int64_t> bytes;
  for (const Record& save : saves) {
    CHECK(save.layer == layer);
    CHECK(save.detail == static_cast<std::uint8_t>(SaveLabel::value));
    if (save.address == address_of(storage)) bytes.push_back(save.bytes);
  }
  CHECK(bytes == std::vector<std::int64_t>{32, 4, 32});
  // Every save is let go once, under its own number.
  std::multiset<std::uint64_t> saved;
  std::multiset<std::uint64_t> released;
  for (const Record& record : saves) saved.insert(record.node);
  for (const Record& record : of_kind(trace, RecordKind::release)) released.insert(record.node);
  CHECK(saved == released);
  CHECK(std::set<std::uint64_t>(saved.begin(), saved.end()).size() == saved.size());
}

TEST_CASE("tracer: an in-place change of a saved tensor is still an error") {
  LayerTable layers;
  for (const bool changed : {false, true}) {
    at::Tensor w = at::ones({4}).requires_grad_(true);
    at::Tensor x = at::ones({4});
    Tracer tracer({.device = kCpu, .buffer_records = 1 << 10}, layers);
    const at::Tensor loss = at::sum(at::mul(w, x));
    if (changed) x.add_(1);
    if (changed) {
      CHECK_THROWS_WITH(loss.backward(), doctest::Contains("modified by an inplace operation"));
      CHECK_FALSE(w.grad().defined());
    } else {
      loss.backward();
      CHECK(w.grad().sum().item<float>() == 4.0F);
    }
  }
}

// Two layers and a non-linearity; returns the gradients of both weights and of the input.
std::vector<at::Tensor> gradients(const at::Tensor& x0, const at::Tensor& w0,
                                  const at::Tensor& v0) {
  const at::Tensor x = x0.clone().requires_grad_(true);
  const at::Tensor w = w0.clone().requires_grad_(true);
  const at::Tensor v = v0.clone().requires_grad_(true);
  const at::Tensor hidden = at::relu(at::matmul(x, w));
  const at::Tensor out = at::matmul(hidden, v);
  at::sum(at::mul(out, out)).backward();
  return {x.grad(), w.grad(), v.grad()};
}

TEST_CASE("tracer: gradients are the same bits with and without it") {
  LayerTable layers;
  const at::Tensor x = at::rand({6, 5});
  const at::Tensor w = at::rand({5, 9});
  const at::Tensor v = at::rand({9, 3});
  const auto plain = gradients(x, w, v);
  std::vector<at::Tensor> with;
  const Trace trace = traced(kCpu, layers, [&](Tracer&) { with = gradients(x, w, v); });
  CHECK(of_kind(trace, RecordKind::save).size() > 0);
  for (std::size_t i = 0; i < plain.size(); ++i) CHECK(plain[i].equal(with[i]));
}

TEST_CASE("tracer: a graph that outlives its trace works on and is not logged by the next") {
  LayerTable layers;
  at::Tensor w = at::ones({4}).requires_grad_(true);
  at::Tensor loss;
  traced(kCpu, layers, [&](Tracer&) { loss = at::sum(at::mul(w, w)); });
  const Trace later = traced(kCpu, layers, [&](Tracer&) {
    loss.backward();
    loss.reset();
  });
  CHECK(of_kind(later, RecordKind::release).empty());
  CHECK(w.grad().sum().item<float>() == 8.0F);
}

TEST_CASE("tracer: a saved output makes no cycle") {
  LayerTable layers;
  const std::int64_t before = live_bytes(kCpu);
  const Trace trace = traced(kCpu, layers, [&](Tracer&) {
    at::Tensor x = at::ones({100}).requires_grad_(true);
    const at::Tensor y = x.exp();  // saves its own result
  });
  CHECK(live_bytes(kCpu) == before);
  CHECK(of_kind(trace, RecordKind::save).size() == 1);
  CHECK(of_kind(trace, RecordKind::release).size() == 1);
}

TEST_CASE("tracer: backward twice, and the gradient of a gradient") {
  LayerTable layers;
  at::Tensor x = at::ones({2}).requires_grad_(true);
  traced(kCpu, layers, [&](Tracer&) {
    const at::Tensor loss = at::sum(x.pow(3));
    loss.backward({}, /*retain_graph=*/true);
    loss.backward({}, /*retain_graph=*/true);
    CHECK(x.grad()[0].item<float>() == 6.0F);  // 3 x^2, twice
    x.mutable_grad() = at::Tensor();
    const auto first = torch::autograd::grad({loss}, {x}, {}, /*retain_graph=*/{},
                                             /*create_graph=*/true);
    at::sum(first[0]).backward();
  });
  CHECK(x.grad()[1].item<float>() == 6.0F);  // 6 x
}

TEST_CASE("tracer: whoever observed scopes before a trace does so again after it") {
  struct Observer final : ScopeObserver {
    void layer_entered(LayerId layer) noexcept override { last = layer; }
    void layer_left(LayerId) noexcept override {}
    LayerId last = kNoLayer;
  } observer;
  ScopeObserver* const before = set_scope_observer(&observer);
  LayerTable layers;
  const LayerId layer = layers.add("fc", "linear");
  const Trace trace = traced(kCpu, layers, [&](Tracer&) { const ScopedLayer scope(layer); });
  CHECK(of_kind(trace, RecordKind::layer_enter).size() == 1);
  CHECK(observer.last == kNoLayer);
  { const ScopedLayer scope(layer); }
  CHECK(observer.last == layer);
  CHECK(set_scope_observer(before) == &observer);
}

TEST_CASE("tracer: backward allocations carry the node and thread that find their layer") {
  LayerTable layers;
  const LayerId first = layers.add("first", "linear");
  const LayerId second = layers.add("second", "linear");
  for (const DeviceId& device : {kCpu, kMeta}) {
    const auto options = at::TensorOptions(device == kMeta ? at::kMeta : at::kCPU);
    at::Tensor w1 = at::ones({3, 7}, options).requires_grad_(true);
    at::Tensor w2 = at::ones({7, 11}, options).requires_grad_(true);
    at::Tensor x = at::ones({2, 3}, options);
    const Trace trace = traced(device, layers, [&](Tracer& tracer) {
      at::Tensor y;
      at::Tensor loss;
      tracer.enter(Phase::forward);
      {
        const ScopedLayer scope(first);
        y = at::matmul(x, w1);
      }
      {
        const ScopedLayer scope(second);
        loss = at::sum(at::relu(at::matmul(y, w2)));
      }
      tracer.enter(Phase::backward);
      loss.backward();
    });
    // The sequence numbers that the scopes cover: [enter, leave).
    const auto enters = of_kind(trace, RecordKind::layer_enter);
    const auto leaves = of_kind(trace, RecordKind::layer_leave);
    REQUIRE(enters.size() == 2);
    REQUIRE(leaves.size() == 2);
    const auto layer_of = [&](const Record& record) {
      for (std::size_t i = 0; i < 2; ++i) {
        if (record.thread == enters[i].thread && record.node >= enters[i].node &&
            record.node < leaves[i].node) {
          return enters[i].layer;
        }
      }
      return kNoLayer;
    };
    bool in_backward = false;
    std::vector<std::pair<std::int64_t, LayerId>> found;
    for (const Record& record : trace.records) {
      if (record.kind == RecordKind::phase) {
        in_backward = record.detail == static_cast<std::uint8_t>(Phase::backward);
      }
      if (in_backward && record.kind == RecordKind::allocate && record.node != kNoNode) {
        found.emplace_back(record.bytes, layer_of(record));
      }
    }
    // Gradient of relu's input, of w2 [7, 11], of y [2, 7], of w1 [3, 7].
    const std::vector<std::pair<std::int64_t, LayerId>> expected = {
        {2 * 11 * 4, second}, {7 * 11 * 4, second}, {2 * 7 * 4, second}, {3 * 7 * 4, first}};
    CHECK(std::is_permutation(found.begin(), found.end(), expected.begin(), expected.end()));
  }
}

TEST_CASE("tracer: what AccumulateGrad allocates names the parameter") {
  LayerTable layers;
  at::Tensor w = at::ones({4, 4}).requires_grad_(true);
  const Trace trace = traced(kCpu, layers, [&](Tracer&) {
    // The gradient of a sum is an expanded scalar, which AccumulateGrad must copy to keep.
    at::sum(w).backward();
  });
  std::size_t accumulations = 0;
  for (const Record& record : of_kind(trace, RecordKind::allocate)) {
    if ((record.detail & kAccumulates) == 0) continue;
    ++accumulations;
    CHECK(record.node == address_of(w));
    CHECK(record.address == address_of(w.grad()));
    CHECK(record.bytes == 64);
  }
  CHECK(accumulations == 1);
}

// Saves its input, a constant and its output, as strategies do.
struct Scaled : torch::autograd::Function<Scaled> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& w) {
    const at::AutoDispatchBelowADInplaceOrView guard;
    const at::Tensor codes = at::ones({10}, at::TensorOptions(at::kByte));
    const at::Tensor out = at::mul(x, w);
    context->save_for_backward({x, w, codes, out});
    return out;
  }
  static variable_list backward(AutogradContext* context, const variable_list& grads) {
    const auto saved = context->get_saved_variables();
    if (saved[2].numel() != 10) throw std::runtime_error("codes lost");
    return {at::mul(grads[0], saved[1]), at::mul(grads[0], saved[0])};
  }
};

TEST_CASE("tracer: a custom Function's saves: leaf parameter, output, codes, label") {
  LayerTable layers;
  const LayerId layer = layers.add("custom", "linear");
  at::Tensor x = at::ones({6}).requires_grad_(true);
  at::Tensor w = at::ones({6}).requires_grad_(true);
  const Trace trace = traced(kCpu, layers, [&](Tracer&) {
    at::Tensor out;
    {
      const ScopedLayer scope(layer);
      const ScopedSaveLabel label(SaveLabel::index);
      out = Scaled::apply(x, w);
    }
    at::sum(out).backward();
  });
  std::vector<std::int64_t> bytes;
  for (const Record& save : of_kind(trace, RecordKind::save)) {
    CHECK(save.layer == layer);
    CHECK(save.detail == static_cast<std::uint8_t>(SaveLabel::index));
    bytes.push_back(save.bytes);
  }
  CHECK(bytes == std::vector<std::int64_t>{24, 24, 10, 24});
  CHECK(of_kind(trace, RecordKind::release).size() == 4);
  CHECK(w.grad().sum().item<float>() == 6.0F);
  CHECK(w.is_leaf());
}

struct Throws : torch::autograd::Function<Throws> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x) {
    context->save_for_backward({x});
    return x.clone();
  }
  static variable_list backward(AutogradContext*, const variable_list&) {
    throw std::runtime_error("thrown in backward");
  }
};

TEST_CASE("tracer: an exception in backward leaves it usable and the books balanced") {
  LayerTable layers;
  const std::int64_t before = live_bytes(kCpu);
  const Trace trace = traced(kCpu, layers, [&](Tracer& tracer) {
    at::Tensor x = at::ones({6}).requires_grad_(true);
    tracer.enter(Phase::forward);
    at::Tensor loss = at::sum(Throws::apply(at::mul(x, 2.0)));
    tracer.enter(Phase::backward);
    CHECK_THROWS_WITH(loss.backward(), doctest::Contains("thrown in backward"));
    loss.reset();
    tracer.enter(Phase::optimizer_step);
    x = at::ones({6});
  });
  CHECK(live_bytes(kCpu) == before);
  CHECK(of_kind(trace, RecordKind::save).size() == of_kind(trace, RecordKind::release).size());
  CHECK(analyse(trace).ledger.first_problem == "");
}

TEST_CASE("tracer: allocations of other threads are logged under their own number") {
  LayerTable layers;
  const LayerId layer = layers.add("worker", "module");
  const Trace trace = traced(kCpu, layers, [&](Tracer&) {
    std::thread worker([&] {
      const ScopedLayer scope(layer);
      const at::Tensor tensor = at::empty({12345});
    });
    worker.join();
    const at::Tensor mine = at::empty({54321});
  });
  const auto find = [&](std::int64_t bytes) {
    for (const Record& record : trace.records) {
      if (record.kind == RecordKind::allocate && record.bytes == bytes) return record;
    }
    return Record{};
  };
  const Record theirs = find(49380);
  const Record mine = find(217284);
  CHECK(theirs.layer == layer);
  CHECK(mine.layer == kNoLayer);
  CHECK(theirs.thread != mine.thread);
  CHECK(of_kind(trace, RecordKind::layer_enter)[0].thread == theirs.thread);
}

TEST_CASE("tracer: many threads at once lose nothing and keep the counters in step") {
  LayerTable layers;
  const std::int64_t before = live_bytes(kCpu);
  const Trace trace = traced(kCpu, layers, [&](Tracer& tracer) {
    std::vector<std::thread> workers;
    for (int t = 0; t < 4; ++t) {
      workers.emplace_back([] {
        for (std::int64_t i = 1; i <= 500; ++i) at::empty({i});
      });
    }
    for (int i = 0; i < 50; ++i) tracer.enter(Phase::forward);
    for (std::thread& worker : workers) worker.join();
  });
  std::int64_t live = 0;
  std::size_t phases = 0;
  for (const Record& record : trace.records) {
    if (record.kind == RecordKind::allocate) live += record.bytes;
    if (record.kind == RecordKind::free) live -= record.bytes;
    if (record.kind != RecordKind::phase) continue;
    ++phases;
    CHECK(record.bytes == live);
  }
  CHECK(phases == 50);
  CHECK(live == before);
  CHECK(trace.live_at_end_bytes == before);
  CHECK(of_kind(trace, RecordKind::free).size() == 2000);
  CHECK(std::is_sorted(trace.records.begin(), trace.records.end(),
                       [](const Record& a, const Record& b) { return a.time_ns < b.time_ns; }));
}

TEST_CASE("tracer: a full buffer counts what it drops") {
  LayerTable layers;
  const std::int64_t older = [&] {
    const Trace trace = traced(kCpu, layers, [](Tracer&) {});
    return static_cast<std::int64_t>(trace.records.size());
  }();
  Tracer tracer({.device = kCpu, .buffer_records = older + 5}, layers);
  for (int i = 0; i < 4; ++i) at::empty({3});  // eight records
  const Trace trace = tracer.stop();
  CHECK(static_cast<std::int64_t>(trace.records.size()) == older + 5);
  CHECK(trace.dropped_records == 3);
  const LedgerCheck check = analyse(trace).ledger;
  CHECK(check.dropped_events == 3);
  CHECK(check.peak_is_lower_bound);
}

TEST_CASE("tracer: one at a time, stopped once, on a device it knows") {
  LayerTable layers;
  {
    Tracer tracer({.device = kCpu, .buffer_records = 1 << 10}, layers);
    CHECK_THROWS_WITH_AS(Tracer({.device = kMeta, .buffer_records = 1}, layers),
                         doctest::Contains("another one is active"), Error);
    tracer.stop();
    CHECK_THROWS_WITH_AS(tracer.stop(), doctest::Contains("stopped before"), Error);
  }
  { const Tracer abandoned({.device = kCpu, .buffer_records = 1 << 10}, layers); }
  CHECK_THROWS_WITH_AS(Tracer({.device = {.kind = DeviceId::Kind::cuda, .index = 1}}, layers),
                       doctest::Contains("'cuda:1'"), Error);
  Tracer next({.device = kCpu, .buffer_records = 1 << 10}, layers);
  install_torch_hooks();  // does nothing the second time, not even its self-test
}

TEST_CASE("tracer: saves leave out what is not the counting allocator's") {
  LayerTable layers;
  float borrowed[4] = {1, 2, 3, 4};
  at::Tensor w = at::ones({4}).requires_grad_(true);
  const Trace trace = traced(kCpu, layers, [&](Tracer& tracer) {
    at::Tensor x = at::empty({0});
    x.unsafeGetTensorImpl()->set_storage_keep_dtype(
        c10::Storage(c10::Storage::use_byte_size_t(), sizeof borrowed,
                     c10::DataPtr(borrowed, at::kCPU), nullptr, false));
    x.unsafeGetTensorImpl()->set_sizes_contiguous({4});
    tracer.tag(x, Category::input);
    at::sum(at::mul(w, x)).backward();
  });
  CHECK(of_kind(trace, RecordKind::tag).empty());
  CHECK(of_kind(trace, RecordKind::save).empty());
  CHECK(w.grad()[3].item<float>() == 4.0F);
}

}  // namespace
}  // namespace sbp::profiler::test
