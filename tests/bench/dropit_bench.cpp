// DropIT's packing against abs, top-k and gather, and its unpacking against scatter into zeros, in
// turn in one run.
//
// dropit_bench [repetitions]
#include <ATen/Parallel.h>
#include <ATen/ops/abs.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/topk.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "dropit/kept_codec.h"

namespace sbp::dropit {
namespace {

double milliseconds(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  const auto end = std::chrono::steady_clock::now();
  return std::chrono::duration<double, std::milli>(end - start).count();
}

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

struct Timed {
  std::string name;
  std::function<void()> work;
  std::vector<double> times = {};
};

void compare(std::int64_t numel, double part, at::ScalarType type, int repetitions) {
  const at::Tensor x = at::randn({numel}).to(type);
  const CodedTensor coded{{numel}, {1}, type, at::kCPU, {}};
  const auto kept = static_cast<std::int64_t>(static_cast<double>(numel) * part);
  at::Tensor values, places;
  const auto pack_with = [&](const KeepRule& rule) {
    Packed parts = kept_codec(rule)->encode(x, {});
    std::vector<at::Tensor> tensors;
    for (PackedPart& one : parts) tensors.push_back(std::move(one.tensor));
    return tensors;
  };
  const KeepRule mask{.gamma = 1.0 - part, .index = IndexForm::mask};
  const KeepRule block{.gamma = 1.0 - part, .index = IndexForm::block};
  const KeepRule seed{
      .selection = Selection::random, .gamma = 1.0 - part, .index = IndexForm::seed};
  std::vector<at::Tensor> by_mask, by_block, by_seed;
  std::vector<Timed> all = {
      {"abs + topk + gather",
       [&] {
         places = std::get<1>(at::topk(at::abs(x), kept, -1, true, false));
         values = x.gather(0, places);
       }},
      {"min-k, mask", [&] { by_mask = pack_with(mask); }},
      {"min-k, block", [&] { by_block = pack_with(block); }},
      {"random, seed", [&] { by_seed = pack_with(seed); }},
      {"zeros + scatter", [&] { at::zeros({numel}, x.options()).scatter_(0, places, values); }},
      {"unpack, mask", [&] { kept_codec(mask)->decode(by_mask, coded); }},
      {"unpack, block", [&] { kept_codec(block)->decode(by_block, coded); }},
      {"unpack, seed", [&] { kept_codec(seed)->decode(by_seed, coded); }},
  };
  for (int i = 0; i <= repetitions; ++i) {
    for (Timed& one : all) {
      const double time = milliseconds(one.work);
      if (i > 0) one.times.push_back(time);  // the first round warms up
    }
  }
  std::printf("%lld elements of %s, %.2f kept\n", static_cast<long long>(numel),
              c10::toString(type), part);
  for (std::size_t i = 0; i < all.size(); ++i) {
    const double base = median(all[i < 4 ? 0 : 4].times);
    const double own = median(all[i].times);
    std::printf("  %-20s %8.2f ms  %.2f\n", all[i].name.c_str(), own, own / base);
  }
}

int run(int repetitions) {
  const c10::NoGradGuard no_grad;
  std::printf("%d threads; medians of %d; the last column is against the first row of its part\n",
              at::get_num_threads(), repetitions);
  for (const std::int64_t numel : {1'200'000, 30'000'000}) {
    for (const double part : {0.1, 0.5}) compare(numel, part, at::kFloat, repetitions);
  }
  compare(1'200'000, 0.1, at::kBFloat16, repetitions);
  return 0;
}

}  // namespace
}  // namespace sbp::dropit

int main(int argc, char** argv) {
  return sbp::dropit::run(argc > 1 ? std::max(1, std::atoi(argv[1])) : 7);
}
