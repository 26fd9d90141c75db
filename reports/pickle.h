// Python's pickle format (protocol 2), as much of it as plain data needs.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace sbp::reports {

// Writes one value after the other; a container is begun and then filled: after list() each item is
// followed by append(), after dict() each key and its value by set_item().
class Pickle {
 public:
  Pickle();

  void none();
  void boolean(bool value);
  void integer(std::int64_t value);
  // UTF-8. A text that was written before is referred to.
  void text(std::string_view value);

  void list();
  void append();
  void dict();
  void set_item();
  // The two values before become one tuple.
  void pair();

  // Remembers the value that was just completed; recall() puts it again, as the same object.
  std::uint32_t remember();
  void recall(std::uint32_t number);

  // Ends with the one value that was written.
  std::string take() &&;

 private:
  void little_endian(std::uint64_t value, int bytes);

  std::string bytes_;
  std::map<std::string, std::uint32_t, std::less<>> texts_;
  std::uint32_t remembered_ = 0;
};

}  // namespace sbp::reports
