// Elements as bits: keys whose order is that of the values, and the values.
#pragma once

#include <bit>
#include <cstdint>
#include <utility>

namespace sbp::dropit {

enum class ElementType : std::uint8_t { f16, bf16, f32, f64 };

// kInfinity: the bits of +infinity; those of NaN, its sign apart, are above them.
template <typename BitsType, BitsType infinity>
struct Element {
  using Bits = BitsType;
  static constexpr Bits kInfinity = infinity;
  static constexpr int kWidth = 8 * static_cast<int>(sizeof(Bits));
  static constexpr Bits kSign = static_cast<Bits>(Bits{1} << (kWidth - 1));
  static constexpr Bits magnitude(Bits bits) { return static_cast<Bits>(bits & ~kSign); }
};

struct Float32 : Element<std::uint32_t, 0x7F800000U> {
  static double value(Bits bits) { return std::bit_cast<float>(bits); }
};
struct Float64 : Element<std::uint64_t, 0x7FF0000000000000U> {
  static double value(Bits bits) { return std::bit_cast<double>(bits); }
};
struct BFloat16 : Element<std::uint16_t, 0x7F80U> {
  static double value(Bits bits) { return Float32::value(std::uint32_t{bits} << 16); }
};
struct Float16 : Element<std::uint16_t, 0x7C00U> {
  static double value(Bits bits) {
    // The exponent's bias is 112 less than that of fp32; of infinity and NaN it has no meaning.
    const std::uint32_t sign = static_cast<std::uint32_t>(bits & kSign) << 16;
    const std::uint32_t wide = static_cast<std::uint32_t>(magnitude(bits)) << 13;
    if (magnitude(bits) >= kInfinity) return Float32::value(sign | 0x7F800000U | wide);
    return Float32::value(sign | wide) * 0x1p112;
  }
};

// Calls use(Float32{}) or its like.
template <typename Use>
void with_element(ElementType type, Use&& use) {
  switch (type) {
    case ElementType::f16: return use(Float16{});
    case ElementType::bf16: return use(BFloat16{});
    case ElementType::f32: return use(Float32{});
    case ElementType::f64: return use(Float64{});
  }
}

// Keys in the order of |x|; -0 is 0, and NaN is above infinity.
template <typename ElementT>
struct ByMagnitude {
  using Key = typename ElementT::Bits;
  static constexpr int kKeyBits = ElementT::kWidth - 1;
  static constexpr Key key(typename ElementT::Bits bits) { return ElementT::magnitude(bits); }
};

// Keys in the order of x; -0 is 0, and NaN of either sign is above infinity.
template <typename ElementT>
struct ByValue {
  using Key = typename ElementT::Bits;
  static constexpr int kKeyBits = ElementT::kWidth;
  static constexpr Key key(typename ElementT::Bits bits) {
    const Key magnitude = ElementT::magnitude(bits);
    if (magnitude > ElementT::kInfinity) return static_cast<Key>(~Key{0});
    const bool is_negative = bits != magnitude && magnitude != 0;
    return static_cast<Key>(is_negative ? ~bits : magnitude | ElementT::kSign);
  }
};

}  // namespace sbp::dropit
