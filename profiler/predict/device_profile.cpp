#include "profiler/predict/device_profile.h"

#include <algorithm>
#include <array>
#include <span>

#include "sbp/base/error.h"
#include "sbp/base/number.h"

namespace sbp::predict {
namespace {

constexpr std::int64_t kMiB = std::int64_t{1} << 20;

// cuBLAS takes more on Hopper alone (ATen/cuda/CublasHandlePool.cpp).
constexpr std::int64_t kWorkspace = 8'519'680;
constexpr std::int64_t kHopperWorkspace = 32 * kMiB;
constexpr int kHopper = 90;

// What CUDA says that a card has in all: `total_memory` of its properties in PyTorch, or the total
// in PyTorch's out-of-memory texts, as users published them; the least where they differ.
// nvidia-smi and vendors say more. The 3060's and the 4060's are those of tests/prediction.
struct Card {
  std::string_view name, summary;
  std::int64_t memory_bytes;
  int compute_capability = 0;
};

constexpr Card kCards[] = {
    {"a100", "A100, 80 GB", 81'049 * kMiB, 80},
    {"a100_40gb", "A100, 40 GB", 40'448 * kMiB, 80},
    {"a10", "A10 and A10G, 24 GB", 22'587 * kMiB, 86},
    {"a5000", "RTX A5000, 24 GB", 24'114 * kMiB, 86},
    {"a6000", "RTX A6000, 48 GB", 48'676 * kMiB, 86},
    {"b200", "B200, 180 GB", 182'630 * kMiB, 100},
    {"h100", "H100, 80 GB", 81'004 * kMiB, 90},
    {"h200", "H200, 141 GB", 143'073 * kMiB, 90},
    {"l4", "L4, 24 GB", 22'558 * kMiB, 89},
    {"l40s", "L40S, 48 GB", 45'589 * kMiB, 89},
    {"rtx2080ti", "GeForce RTX 2080 Ti, 11 GB", 11'018 * kMiB, 75},
    {"rtx3060", "GeForce RTX 3060, 12 GB", 12'622'168'064, 86},
    {"rtx3090", "GeForce RTX 3090, 24 GB", 24'259 * kMiB, 86},
    {"rtx4060", "GeForce RTX 4060, 8 GB", 8'318'222'336, 89},
    {"rtx4090", "GeForce RTX 4090, 24 GB", 24'207 * kMiB, 89},
    {"t4", "T4, 16 GB", 14'909 * kMiB, 75},
    {"v100", "V100, 16 GB", 16'130 * kMiB, 70},
    {"v100_32gb", "V100, 32 GB", 32'501 * kMiB, 70},
};

// With kernels loaded when they first run, as is the default since CUDA 11.8 (pytorch#86509).
constexpr std::int64_t kContext = 287'047'680;

// A size that a key may set.
struct SizeKey {
  const char* key;
  std::int64_t DeviceProfile::*field;
  const char* help;
};
constexpr SizeKey kSizes[] = {
    {"memory", &DeviceProfile::memory_bytes, "of the card in all, such as 12GiB"},
    {"context", &DeviceProfile::context_bytes, "of the CUDA context"},
    {"kernel_code", &DeviceProfile::kernel_code_bytes, "of kernels loaded when they first run"},
    {"library_handles", &DeviceProfile::library_bytes, "of cuBLAS and cuDNN"},
    {"cublas_workspace", &DeviceProfile::cublas_workspace_bytes,
     "kept by each thread that multiplies matrices"},
    {"cublas_lt_workspace", &DeviceProfile::cublas_lt_workspace_bytes,
     "of a product with a bias, while it runs; 0: it uses cuBLAS's"},
};

DeviceProfile profile_of(const Card& card) {
  return {
      .name = std::string(card.name),
      .memory_bytes = card.memory_bytes,
      .context_bytes = kContext,
      .cublas_workspace_bytes = card.compute_capability == kHopper ? kHopperWorkspace : kWorkspace,
      .compute_capability = card.compute_capability,
      .depthwise_copies = card.compute_capability >= 80};
}

std::string size_text(std::int64_t bytes) {
  return bytes > 0 && bytes % kMiB == 0 ? concat(bytes / kMiB, "MiB") : concat(bytes, "B");
}

SpecSchema schema_of(const Card& card) {
  const DeviceProfile profile = profile_of(card);
  SpecSchema schema{std::string(card.name), std::string(card.summary), {}};
  for (const SizeKey& size : kSizes) {
    schema.keys.push_back(
        {.key = size.key, .default_value = size_text(profile.*size.field), .help = size.help});
  }
  using Words = std::vector<std::string>;
  const bool copies = profile.depthwise_copies;  // the first word is the default
  schema.keys.push_back(word_key("depthwise_copies",
                                 copies ? Words{"true", "false"} : Words{"false", "true"},
                                 "cuDNN's, of channels-last images (docs/prediction.md)"));
  schema.keys.push_back({.key = "torch",
                         .default_value = profile.torch,
                         .help =
                             "PyTorch's version there, such as 1.10: up to then softmax's input "
                             "is kept for backward too"});
  return schema;
}

struct TorchVersion {
  int major = 0, minor = 0;
};

// "1.10", "2"; nothing for another text.
std::optional<TorchVersion> torch_version(std::string_view text) {
  TorchVersion version;
  const std::size_t dot = text.find('.');
  const bool has_minor = dot != std::string_view::npos;
  if (parse_number(text.substr(0, dot), version.major) != std::errc()) return std::nullopt;
  if (has_minor && parse_number(text.substr(dot + 1), version.minor) != std::errc()) {
    return std::nullopt;
  }
  const bool known = version.major == 2 || (version.major == 1 && has_minor);
  if (!known || version.minor < 0) return std::nullopt;
  return version;
}

std::string torch_of(const Spec& spec) {
  const std::string& text = spec.text("torch");
  if (torch_version(text)) return text;
  throw UsageError(concat("GPU '", spec.name, "' has torch '", text,
                          "'; use a version of PyTorch, such as 1.10 or 2"));
}

constexpr std::int64_t kMostBytes = std::int64_t{1} << 50;

std::int64_t size_of(const Spec& spec, const char* key) {
  const std::string& text = spec.text(key);
  std::optional<std::int64_t> size = parse_size(text);
  std::int64_t plain = 0;
  if (!size && parse_number(text, plain) == std::errc()) size = plain;
  if (!size || *size < 0 || *size > kMostBytes) {
    throw UsageError(concat("GPU '", spec.name, "' has ", key, " '", text,
                            "'; use a size up to 1024TiB, such as 12GiB or 300MiB"));
  }
  return *size;
}

std::int64_t memory_of(const Spec& spec) {
  const std::int64_t bytes = size_of(spec, "memory");
  if (bytes >= kMiB) return bytes;
  const std::string& text = spec.text("memory");
  const bool has_unit = bytes == 0 || text.find_first_not_of("0123456789") != std::string::npos;
  throw UsageError(concat("GPU '", spec.name, "' has memory '", text, "', which is less than ",
                          "1 MiB", has_unit ? "" : concat("; '", text, "GiB' is meant?")));
}

void check_name(std::string_view name) {
  std::vector<std::string> names;
  for (const Card& card : kCards) names.emplace_back(card.name);
  if (std::ranges::count(names, name) > 0) return;
  const bool is_list = name.find(',') != std::string_view::npos;
  throw UsageError(concat(unknown_word("GPU", name, names), "; ",
                          is_list ? "one at a time, sbp-sweep takes several: --axis 'predict=A|B'"
                                  : "another card is one of these with its own memory, such as "
                                    "rtx3060:memory=10GiB"));
}

}  // namespace

const std::vector<SpecSchema>& device_schemas() {
  static const std::vector<SpecSchema> schemas = [] {
    std::vector<SpecSchema> all;
    for (const Card& card : kCards) all.push_back(schema_of(card));
    return all;
  }();
  return schemas;
}

bool keeps_softmax_input(const DeviceProfile& profile) {
  const std::optional<TorchVersion> version = torch_version(profile.torch);
  return version && version->major == 1 && version->minor <= 10;
}

DeviceProfile parse_device_profile(std::string_view text) {
  check_name(text.substr(0, text.find(':')));
  const Spec spec = parse_spec(text, "GPU", device_schemas());
  DeviceProfile profile = profile_of(*std::ranges::find(kCards, spec.name, &Card::name));
  for (const SizeKey& size : kSizes) profile.*size.field = size_of(spec, size.key);
  profile.memory_bytes = memory_of(spec);
  profile.depthwise_copies = spec.text("depthwise_copies") == "true";
  profile.torch = torch_of(spec);
  return profile;
}

std::string to_string(const DeviceProfile& profile) {
  Spec spec{.name = profile.name, .values = {}};
  for (const SizeKey& size : kSizes) {
    spec.values.emplace_back(size.key, size_text(profile.*size.field));
  }
  spec.values.emplace_back("depthwise_copies", profile.depthwise_copies ? "true" : "false");
  spec.values.emplace_back("torch", profile.torch);
  return to_string(spec);
}

}  // namespace sbp::predict
