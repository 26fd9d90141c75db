#include "sbp/saved.h"

#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/saved_variable.h>

#include <algorithm>

namespace sbp {

namespace autograd = torch::autograd;

autograd::SavedVariable save_for_backward(const at::Tensor& tensor, SaveLabel label) {
  const ScopedSaveLabel scope(label);
  return autograd::SavedVariable(tensor.detach(), /*is_output=*/false);
}

struct SavedCode::Code {
  std::vector<autograd::SavedVariable> parts;
  std::vector<SaveLabel> labels;
  CodedTensor coded;
  std::shared_ptr<const SavedCodec> codec;

  void save(const at::Tensor& tensor, SaveLabel label) {
    parts.push_back(save_for_backward(tensor, label));
    labels.push_back(label);
  }
};

struct SharedCodes::Entry {
  // Keeps the storage's address from being given out again, not its memory.
  c10::weak_intrusive_ptr<c10::StorageImpl> storage;
  std::uint32_t version = 0;
  std::int64_t offset = 0;
  std::vector<std::int64_t> sizes, strides;
  std::weak_ptr<SavedCode::Code> code;
};

SharedCodes::SharedCodes() = default;
SharedCodes::~SharedCodes() = default;

void SharedCodes::clear() {
  entries_.clear();
}

std::shared_ptr<SavedCode::Code> SharedCodes::find(const at::Tensor& value,
                                                   const SavedCodec& codec) {
  std::erase_if(entries_, [](const Entry& entry) { return entry.storage.expired(); });
  for (const Entry& entry : entries_) {
    if (entry.storage._unsafe_get_target() != value.storage().unsafeGetStorageImpl()) continue;
    if (entry.version != value._version() || entry.offset != value.storage_offset()) continue;
    if (value.sizes() != entry.sizes || value.strides() != entry.strides) continue;
    auto code = entry.code.lock();
    if (code != nullptr && code->codec.get() == &codec) return code;
  }
  return nullptr;
}

void SharedCodes::add(const at::Tensor& value, const std::shared_ptr<SavedCode::Code>& code) {
  entries_.push_back({.storage = value.storage().getWeakStorageImpl(),
                      .version = static_cast<std::uint32_t>(value._version()),
                      .offset = value.storage_offset(),
                      .sizes = value.sizes().vec(),
                      .strides = value.strides().vec(),
                      .code = code});
}

void SavedCode::keep(const at::Tensor& value, const Coding& coding) {
  code_ = std::make_shared<Code>();
  const auto twin = coding.shared ? coding.shared->find(value, *coding.codec) : nullptr;
  code_->codec = coding.codec;
  if (twin != nullptr) {
    // Saved again, so that each layer is seen to hold it; the storages are the same.
    code_->coded = twin->coded;
    for (std::size_t i = 0; i < twin->parts.size(); ++i) {
      code_->save(twin->parts[i].unpack(), twin->labels[i]);
    }
    return;
  }
  const c10::NoGradGuard no_grad;
  // A tensor with gaps or overlaps is coded, and comes back, in the order that kernels take it in.
  const at::Tensor dense = value.is_non_overlapping_and_dense()
                               ? value
                               : value.contiguous(value.suggest_memory_format());
  code_->coded = {dense.sizes().vec(), dense.strides().vec(), dense.scalar_type(), dense.device(),
                  coding.key};
  bool is_empty = dense.numel() > 0;
  for (const PackedPart& part : coding.codec->encode(dense, coding.key)) {
    code_->save(part.tensor, part.label);
    if (part.label == SaveLabel::value && part.tensor.numel() > 0) is_empty = false;
  }
  if (coding.shared == nullptr) return;
  coding.shared->add(value, code_);
  if (is_empty) coding.shared->empty_sites_.insert(coding.key.site);
}

at::Tensor SavedCode::decode() const {
  std::vector<at::Tensor> tensors;
  for (const autograd::SavedVariable& part : code_->parts) tensors.push_back(part.unpack());
  return code_->codec->decode(tensors, code_->coded).to(code_->coded.type);
}

const CodedTensor& SavedCode::coded() const {
  return code_->coded;
}

}  // namespace sbp
