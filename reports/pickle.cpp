#include "reports/pickle.h"

namespace sbp::reports {
namespace {

// The opcodes, by their names in Python's pickletools.
constexpr char kProto = '\x80', kStop = '.', kNone = 'N', kNewTrue = '\x88', kNewFalse = '\x89';
constexpr char kBinInt = 'J', kBinInt1 = 'K', kLong1 = '\x8a', kBinUnicode = 'X';
constexpr char kEmptyList = ']', kAppend = 'a', kEmptyDict = '}', kSetItem = 's';
constexpr char kTuple2 = '\x86';
constexpr char kBinPut = 'q', kLongBinPut = 'r', kBinGet = 'h', kLongBinGet = 'j';

}  // namespace

Pickle::Pickle() : bytes_{kProto, '\x02'} {}

void Pickle::little_endian(std::uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) bytes_ += static_cast<char>((value >> (8 * i)) & 0xFFU);
}

void Pickle::none() {
  bytes_ += kNone;
}

void Pickle::boolean(bool value) {
  bytes_ += value ? kNewTrue : kNewFalse;
}

void Pickle::integer(std::int64_t value) {
  const auto bits = static_cast<std::uint64_t>(value);
  if (value >= 0 && value < 256) {
    bytes_ += kBinInt1;
    little_endian(bits, 1);
  } else if (value >= INT32_MIN && value <= INT32_MAX) {
    bytes_ += kBinInt;
    little_endian(bits, 4);
  } else {
    bytes_ += kLong1;
    bytes_ += '\x08';
    little_endian(bits, 8);
  }
}

void Pickle::text(std::string_view value) {
  if (const auto known = texts_.find(value); known != texts_.end()) return recall(known->second);
  bytes_ += kBinUnicode;
  little_endian(value.size(), 4);
  bytes_ += value;
  texts_.emplace(value, remember());
}

void Pickle::list() {
  bytes_ += kEmptyList;
}

void Pickle::append() {
  bytes_ += kAppend;
}

void Pickle::dict() {
  bytes_ += kEmptyDict;
}

void Pickle::set_item() {
  bytes_ += kSetItem;
}

void Pickle::pair() {
  bytes_ += kTuple2;
}

std::uint32_t Pickle::remember() {
  const std::uint32_t number = remembered_++;
  bytes_ += number < 256 ? kBinPut : kLongBinPut;
  little_endian(number, number < 256 ? 1 : 4);
  return number;
}

void Pickle::recall(std::uint32_t number) {
  bytes_ += number < 256 ? kBinGet : kLongBinGet;
  little_endian(number, number < 256 ? 1 : 4);
}

std::string Pickle::take() && {
  bytes_ += kStop;
  return std::move(bytes_);
}

}  // namespace sbp::reports
