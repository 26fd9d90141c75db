#include "dropit/kept_codec.h"

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_strided.h>

#include <limits>

#include "dropit/coded_element.h"
#include "dropit/pack.h"
#include "dropit/tasks.h"
#include "sbp/base/error.h"

namespace sbp::dropit {
namespace {

Workers workers() {
  return {.threads = at::get_num_threads(),
          .run = [](std::int64_t count, const std::function<void(std::int64_t)>& task) {
            at::parallel_for(0, count, 1, [&](std::int64_t begin, std::int64_t end) {
              for (std::int64_t i = begin; i < end; ++i) task(i);
            });
          }};
}

std::string shape_text(at::IntArrayRef sizes) {
  std::string text;
  for (const std::int64_t size : sizes) text += concat(text.empty() ? "" : ", ", size);
  return "[" + text + "]";
}

class KeptCodec : public SavedCodec {
 public:
  explicit KeptCodec(const KeepRule& rule) : rule_(rule) {}

  bool draws() const override { return rule_.selection == Selection::random; }

  Packed encode(const at::Tensor& tensor, const StreamKey& key) const override {
    check_device(tensor.device());
    const at::Tensor value = lies_together(tensor) ? tensor : tensor.contiguous();
    const PackJob job{element_type(value.scalar_type()), rule_, Groups(rule_, value.sizes(), key),
                      key};
    check(job.groups, value);
    Packed parts;
    if (!value.is_cpu() || value.numel() == 0) {
      parts = allocate(value, job.groups.kept());
    } else {
      pack(
          job, value.const_data_ptr(),
          [&](std::int64_t kept) {
            parts = allocate(value, kept);
            return pointers(parts);
          },
          workers());
    }
    if (rule_.unbiased && parts[0].tensor.numel() > 0) parts[0].tensor.mul_(job.groups.scale());
    return parts;
  }

  at::Tensor decode(const std::vector<at::Tensor>& tensors,
                    const CodedTensor& coded) const override {
    const at::TensorOptions options = at::dtype(coded.type).device(coded.device);
    at::Tensor dense = at::empty_strided(coded.sizes, coded.strides, options);
    // Groups that do not lie together were copied; so they come back, and are put in place.
    const bool was_copied = !lies_together(dense);
    if (was_copied) dense = at::empty(coded.sizes, options);
    if (!dense.is_cpu()) return dense;
    Packed parts;
    for (const at::Tensor& tensor : tensors) parts.push_back({tensor});
    const PackJob job{element_type(coded.type), rule_, Groups(rule_, coded.sizes, coded.key),
                      coded.key};
    unpack(job, pointers(parts), tensors[0].numel(), dense.mutable_data_ptr(), workers());
    if (!was_copied) return dense;
    return at::empty_strided(coded.sizes, coded.strides, options).copy_(dense);
  }

 private:
  // Does every group of a tensor without gaps lie together, one behind the other?
  bool lies_together(const at::Tensor& value) const {
    if (rule_.scope == Scope::tensor || value.is_contiguous()) return true;
    // Channels-last images, sample by sample.
    return rule_.scope == Scope::sample && value.stride(0) * value.size(0) == value.numel();
  }

  void check(const Groups& groups, const at::Tensor& value) const {
    if (groups.numel() == 0) return;
    if (rule_.index == IndexForm::int32 &&
        groups.numel() > std::numeric_limits<std::int32_t>::max()) {
      throw Error(concat("index=int32 cannot count the ", groups.numel(), " elements of a tensor ",
                         shape_text(value.sizes()), "; use index=block or index=mask"));
    }
    if (groups.kept() > 0 || rule_.released || rule_.selection == Selection::nsigma) return;
    throw Error(concat("gamma=", rule_.gamma, " keeps none of the ", groups.end(0),
                       " elements that compete in a tensor ", shape_text(value.sizes()),
                       "; use a smaller gamma, or exclude the layer"));
  }

  Packed allocate(const at::Tensor& value, std::int64_t kept) const {
    const auto bytes = [&](std::int64_t count, at::ScalarType type) {
      return at::empty({count}, at::dtype(type).device(value.device()));
    };
    Packed parts{{at::empty({kept}, value.options()), SaveLabel::value}};
    const auto add_index = [&](std::int64_t count, at::ScalarType type) {
      parts.push_back({bytes(count, type), SaveLabel::index});
    };
    switch (rule_.index) {
      case IndexForm::int64: add_index(kept, at::kLong); break;
      case IndexForm::int32: add_index(kept, at::kInt); break;
      case IndexForm::mask: add_index((value.numel() + 7) / 8, at::kByte); break;
      case IndexForm::block:
        add_index(kept, at::kByte);
        add_index((value.numel() + kBlock - 1) / kBlock, at::kShort);
        break;
      case IndexForm::seed: break;
    }
    return parts;
  }

  static Parts pointers(const Packed& parts) {
    Parts result{.values = parts[0].tensor.data_ptr()};
    if (parts.size() > 1) result.index = parts[1].tensor.data_ptr();
    if (parts.size() > 2) result.counts = parts[2].tensor.data_ptr<std::int16_t>();
    return result;
  }

  KeepRule rule_;
};

}  // namespace

std::shared_ptr<const SavedCodec> kept_codec(const KeepRule& rule) {
  return std::make_shared<KeptCodec>(rule);
}

std::shared_ptr<const SavedCodec> make_codec(const Spec& spec) {
  if (spec.name == "sign") return sign_codec();
  return names_rule(spec) ? kept_codec(rule_of(spec)) : nullptr;
}

}  // namespace sbp::dropit
