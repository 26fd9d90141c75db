// A file descriptor that closes itself, and writing to one.
#pragma once

#include <string_view>

namespace sbp {

class Descriptor {
 public:
  // `number` as open() gave it; negative: none.
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor();
  Descriptor(Descriptor&& other) noexcept;
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(Descriptor&& other) noexcept;
  Descriptor& operator=(const Descriptor&) = delete;

  int number() const { return number_; }
  // Zero, or the error that closing found (a full network disk tells only then).
  int close();

 private:
  int number_;
};

// Writes all of `bytes`, however many calls that takes. Zero, or the error.
int write_all(int descriptor, std::string_view bytes);

}  // namespace sbp
