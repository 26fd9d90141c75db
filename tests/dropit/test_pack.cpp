// Packing against a reference that sorts, on values that tie, vanish and overflow.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <thread>

#include "dropit/code_size.h"
#include "dropit/pack.h"

namespace sbp::dropit {
namespace {

// Tasks on threads of their own, to show that they do not depend on one another.
Workers workers_of(std::int64_t threads) {
  return {.threads = threads,
          .run = [](std::int64_t count, const std::function<void(std::int64_t)>& task) {
            std::vector<std::thread> running;
            for (std::int64_t i = 0; i < count; ++i) running.emplace_back(task, i);
            for (std::thread& thread : running) thread.join();
          }};
}

template <typename Bits>
struct Packed {
  std::vector<Bits> values;
  std::vector<std::uint8_t> index;
  std::vector<std::int16_t> counts;
  bool operator==(const Packed&) const = default;
};

std::size_t width(IndexForm form) {
  if (form == IndexForm::int64) return 8;
  return form == IndexForm::int32 ? 4 : 1;
}

template <typename Bits>
Packed<Bits> packed(const PackJob& job, const std::vector<Bits>& data, std::int64_t threads = 1) {
  Packed<Bits> result;
  pack(
      job, data.data(),
      [&](std::int64_t kept) {
        const IndexForm form = job.rule.index;
        const auto k = static_cast<std::size_t>(kept);
        result.values.resize(k);
        result.index.resize(form == IndexForm::mask ? (data.size() + 7) / 8 : k * width(form));
        if (form == IndexForm::seed) result.index.clear();
        if (form == IndexForm::block) result.counts.resize((data.size() + 255) / 256);
        CHECK(std::ssize(result.index) + 2 * std::ssize(result.counts) ==
              index_bytes(form, std::ssize(data), kept));
        return Parts{result.values.data(), result.index.data(), result.counts.data()};
      },
      workers_of(threads));
  return result;
}

template <typename Bits>
std::vector<Bits> unpacked(const PackJob& job, Packed<Bits> parts, std::size_t numel,
                           std::int64_t threads = 1) {
  std::vector<Bits> data(numel, static_cast<Bits>(0x55));
  unpack(job, {parts.values.data(), parts.index.data(), parts.counts.data()},
         std::ssize(parts.values), data.data(), workers_of(threads));
  return data;
}

PackJob job_of(ElementType type, const KeepRule& rule, const std::vector<std::int64_t>& sizes) {
  const StreamKey key{.seed = 7, .step = 2, .site = 5, .purpose = Purpose::sampling};
  return {type, rule, Groups(rule, sizes, key), key};
}

// NaN counts as largest.
double rank_of(double x, bool by_magnitude) {
  if (std::isnan(x)) return std::numeric_limits<double>::max() * 2.0 + 1.0;
  return by_magnitude ? std::abs(x) : x;
}

// Kept places of [begin, end): the `kept` first when sorted by value, then by index.
void sort_group(const std::vector<double>& values, std::int64_t begin, std::int64_t end,
                std::int64_t kept, bool by_magnitude, std::vector<char>& flags) {
  std::vector<std::int64_t> places(static_cast<std::size_t>(end - begin));
  std::iota(places.begin(), places.end(), begin);
  const auto is_nan = [&](std::int64_t i) {
    return std::isnan(values[static_cast<std::size_t>(i)]);
  };
  std::stable_sort(places.begin(), places.end(), [&](std::int64_t a, std::int64_t b) {
    if (is_nan(a) || is_nan(b)) return is_nan(a) && !is_nan(b);
    return rank_of(values[static_cast<std::size_t>(a)], by_magnitude) >
           rank_of(values[static_cast<std::size_t>(b)], by_magnitude);
  });
  for (std::int64_t i = 0; i < kept; ++i)
    flags[static_cast<std::size_t>(places[static_cast<std::size_t>(i)])] = 1;
}

enum class Data { normal, ties, odd, constant };

template <typename ElementT>
std::vector<typename ElementT::Bits> values_of(Data kind, std::size_t count) {
  using Bits = typename ElementT::Bits;
  RandomStream stream({.seed = 11, .purpose = Purpose::synthetic});
  std::vector<Bits> data(count);
  const Bits one = static_cast<Bits>(ElementT::kInfinity / 2);  // somewhere near 1
  const Bits odd[] = {0,
                      ElementT::kSign,                                           // -0
                      ElementT::kInfinity,                                       // inf
                      static_cast<Bits>(ElementT::kSign | ElementT::kInfinity),  // -inf
                      1,                                                         // denormal
                      static_cast<Bits>(ElementT::kSign | 3),                    // -denormal
                      static_cast<Bits>(ElementT::kInfinity - 1),                // largest
                      static_cast<Bits>(ElementT::kInfinity + 1)};               // NaN
  for (Bits& bits : data) {
    const auto sign = static_cast<Bits>(stream.below(2) == 0 ? 0 : ElementT::kSign);
    const auto spread = static_cast<Bits>(stream.below(std::uint64_t{ElementT::kInfinity} / 8));
    bits = static_cast<Bits>(sign | static_cast<Bits>(one + spread));
    if (kind == Data::ties)
      bits = static_cast<Bits>(sign | static_cast<Bits>(one + stream.below(5)));
    if (kind == Data::ties && stream.below(3) == 0) bits = sign;
    if (kind == Data::odd && stream.below(2) == 0) bits = odd[stream.below(8)];
    if (kind == Data::constant) bits = one;
  }
  return data;
}

template <typename ElementT>
std::vector<char> reference(const PackJob& job, const std::vector<typename ElementT::Bits>& data) {
  std::vector<double> values;
  for (const auto bits : data) values.push_back(ElementT::value(bits));
  std::vector<char> flags(data.size(), 0);
  for (std::int64_t g = 0; g < job.groups.count(); ++g) {
    sort_group(values, job.groups.begin(g), job.groups.end(g),
               job.groups.kept_before(g + 1) - job.groups.kept_before(g),
               job.rule.selection == Selection::mink, flags);
  }
  return flags;
}

template <typename ElementT>
void check_against_sorting(ElementType type, const KeepRule& rule,
                           const std::vector<std::int64_t>& sizes) {
  const PackJob job = job_of(type, rule, sizes);
  const auto numel = static_cast<std::size_t>(job.groups.numel());
  for (const Data kind : {Data::normal, Data::ties, Data::odd, Data::constant}) {
    CAPTURE(static_cast<int>(kind));
    const auto data = values_of<ElementT>(kind, numel);
    const std::vector<char> kept = reference<ElementT>(job, data);
    const auto got = packed(job, data);
    std::vector<typename ElementT::Bits> expected(numel, 0);
    for (std::size_t i = 0; i < numel; ++i) {
      if (kept[i] != 0) expected[i] = data[i];
    }
    CHECK(std::ssize(got.values) == job.groups.kept());
    CHECK(unpacked(job, got, numel) == expected);
    for (const std::int64_t threads : {2, 3, 7}) {
      CHECK(packed(job, data, threads) == got);
      CHECK(unpacked(job, got, numel, threads) == expected);
    }
  }
}

void check_all_types(const KeepRule& rule, const std::vector<std::int64_t>& sizes) {
  CAPTURE(to_string(spec_of(rule)));
  CAPTURE(sizes.size());
  check_against_sorting<Float32>(ElementType::f32, rule, sizes);
  check_against_sorting<Float64>(ElementType::f64, rule, sizes);
  check_against_sorting<BFloat16>(ElementType::bf16, rule, sizes);
  check_against_sorting<Float16>(ElementType::f16, rule, sizes);
}

constexpr IndexForm kForms[] = {IndexForm::int64, IndexForm::int32, IndexForm::mask,
                                IndexForm::block};

TEST_CASE("min-k keeps what sorting by magnitude, then by index, keeps") {
  for (const IndexForm form : kForms) {
    for (const double gamma : {0.1, 0.5, 0.9, 0.999}) {
      check_all_types({.gamma = gamma, .index = form}, {3, 1001});
    }
  }
  check_all_types({.gamma = 0.5}, {1});
  check_all_types({.gamma = 0.0}, {777});
}

TEST_CASE("min-k of samples and rows, the first version's chunks") {
  for (const IndexForm form : kForms) {
    check_all_types({.gamma = 0.7, .scope = Scope::row, .index = form}, {5, 7, 33});
    check_all_types({.gamma = 0.9, .scope = Scope::sample, .index = form}, {3, 5000});
    check_all_types({.selection = Selection::chunk, .gamma = 0.9, .index = form}, {40'000});
  }
  check_all_types({.gamma = 0.9, .scope = Scope::row, .released = true}, {4, 5});  // none kept
}

TEST_CASE("a random selection keeps exactly k, is drawn again from its key, and is fair") {
  constexpr std::size_t kNumel = 150'000;
  std::vector<std::uint32_t> data(kNumel);
  std::iota(data.begin(), data.end(), 1U);
  const KeepRule by_seed{.selection = Selection::random, .gamma = 0.7, .index = IndexForm::seed};
  KeepRule by_mask = by_seed;
  by_mask.index = IndexForm::mask;
  const PackJob job = job_of(ElementType::f32, by_seed, {static_cast<std::int64_t>(kNumel)});
  const PackJob told = job_of(ElementType::f32, by_mask, {static_cast<std::int64_t>(kNumel)});
  const auto got = packed(job, data);
  CHECK(got.values.size() == 45'000);
  CHECK(packed(job, data, 3) == got);
  const auto whole = unpacked(job, got, kNumel, 2);
  CHECK(whole == unpacked(told, packed(told, data, 2), kNumel));
  CHECK(std::ranges::count_if(whole, [](auto x) { return x != 0; }) == 45'000);
  for (std::size_t part = 0; part < 10; ++part) {
    const auto begin = whole.begin() + static_cast<std::ptrdiff_t>(part * kNumel / 10);
    const auto kept = std::count_if(begin, begin + kNumel / 10, [](auto x) { return x != 0; });
    CHECK(std::abs(static_cast<double>(kept) - 4500) < 6 * std::sqrt(15'000 * 0.3 * 0.7));
  }
  PackJob later = job;
  ++later.key.step;
  later.groups = Groups(by_seed, std::vector{static_cast<std::int64_t>(kNumel)}, later.key);
  CHECK(packed(later, data).values != got.values);
}

TEST_CASE("n sigma keeps what is far from the mean") {
  constexpr std::size_t kNumel = 100'000;
  RandomStream stream({.seed = 1, .purpose = Purpose::synthetic});
  std::vector<float> numbers(kNumel);
  for (float& x : numbers) x = static_cast<float>(3.0 + 2.0 * stream.normal());
  std::vector<std::uint32_t> data(kNumel);
  std::memcpy(data.data(), numbers.data(), kNumel * sizeof(float));
  const double mean = std::accumulate(numbers.begin(), numbers.end(), 0.0) / kNumel;
  double squares = 0.0;
  for (const float x : numbers) squares += (x - mean) * (x - mean);
  const double limit = 1.6448536269514722 * std::sqrt(squares / (kNumel - 1));  // 90 % lie within
  for (const IndexForm form : kForms) {
    const KeepRule rule{.selection = Selection::nsigma, .gamma = 0.9, .index = form};
    const PackJob job = job_of(ElementType::f32, rule, {static_cast<std::int64_t>(kNumel)});
    const auto got = packed(job, data, 3);
    CHECK(packed(job, data) == got);
    const auto whole = unpacked(job, got, kNumel);
    for (std::size_t i = 0; i < kNumel; ++i) {
      CHECK(whole[i] == (std::abs(numbers[i] - mean) > limit ? data[i] : 0));
    }
    CHECK(std::abs(std::ssize(got.values) - job.groups.kept()) < 500);
  }
  std::vector<std::uint32_t> equal(1000, data[0]);
  const PackJob none = job_of(ElementType::f32, {.selection = Selection::nsigma}, {1000});
  CHECK(packed(none, equal).values.empty());
}

TEST_CASE("an empty tensor packs to nothing") {
  const PackJob job = job_of(ElementType::f32, {}, {0, 5});
  const std::vector<std::uint32_t> none;
  CHECK(packed(job, none).values.empty());
  CHECK(unpacked(job, packed(job, none), 0).empty());
}

}  // namespace
}  // namespace sbp::dropit
