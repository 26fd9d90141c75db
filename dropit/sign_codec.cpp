#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_strided.h>

#include <algorithm>

#include "dropit/coded_element.h"
#include "dropit/kept_codec.h"
#include "sbp/base/error.h"

namespace sbp::dropit {
namespace {

// Bit i % 8 of byte i / 8.
class SignCodec : public SavedCodec {
 public:
  Packed encode(const at::Tensor& value, const StreamKey&) const override {
    check_device(value.device());
    const std::int64_t numel = value.numel();
    const at::Tensor bits =
        at::empty({(numel + 7) / 8}, at::dtype(at::kByte).device(value.device()));
    if (value.is_cpu()) {
      with_element(element_type(value.scalar_type()), [&]<typename ElementT>(ElementT) {
        const auto* data = static_cast<const typename ElementT::Bits*>(value.const_data_ptr());
        write_bits<ElementT>(data, numel, bits.mutable_data_ptr<std::uint8_t>());
      });
    }
    return {{bits, SaveLabel::value}};
  }

  at::Tensor decode(const std::vector<at::Tensor>& parts, const CodedTensor& coded) const override {
    const at::Tensor ones =
        at::empty_strided(coded.sizes, coded.strides, at::dtype(at::kBool).device(coded.device));
    if (!coded.device.is_cpu()) return ones;
    const auto* bits = parts[0].const_data_ptr<std::uint8_t>();
    bool* const out = ones.mutable_data_ptr<bool>();
    at::parallel_for(0, ones.numel(), kGrain, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) out[i] = (bits[i / 8] >> (i % 8) & 1) != 0;
    });
    return ones;
  }

 private:
  static constexpr std::int64_t kGrain = 1 << 15;

  template <typename ElementT>
  static void write_bits(const typename ElementT::Bits* data, std::int64_t numel,
                         std::uint8_t* out) {
    using Order = ByValue<ElementT>;
    const auto zero = Order::key(0);
    at::parallel_for(0, (numel + 7) / 8, kGrain / 8, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t byte = begin; byte < end; ++byte) {
        unsigned bits = 0;
        const std::int64_t count = std::min<std::int64_t>(8, numel - 8 * byte);
        for (std::int64_t j = 0; j < count; ++j) {
          bits |= unsigned{Order::key(data[8 * byte + j]) > zero} << j;
        }
        out[byte] = static_cast<std::uint8_t>(bits);
      }
    });
  }
};

}  // namespace

void check_device(at::Device device) {
  if (device.is_cpu() || device.is_meta()) return;
  throw Error(concat("codes are made on cpu and meta, and the tensor is on '", device.str(), "'"));
}

ElementType element_type(at::ScalarType type) {
  switch (type) {
    case at::kFloat: return ElementType::f32;
    case at::kDouble: return ElementType::f64;
    case at::kHalf: return ElementType::f16;
    case at::kBFloat16: return ElementType::bf16;
    default:
      throw Error(concat("only floating-point tensors can be coded, and this one is '",
                         c10::toString(type), "'"));
  }
}

std::shared_ptr<const SavedCodec> sign_codec() {
  return std::make_shared<SignCodec>();
}

}  // namespace sbp::dropit
