#include "experiments/data/files.h"

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "sbp/base/error.h"

namespace sbp::experiments {

std::vector<std::byte> read_file(const std::string& path, std::string_view what) {
  const auto fail = [&](std::string_view reason) -> void {
    throw Error(concat("cannot read ", what, " '", path, "': ", reason));
  };
  std::error_code code;
  if (std::filesystem::is_directory(path, code)) fail("it is a folder, not a file");
  const std::uintmax_t size = std::filesystem::file_size(path, code);
  if (code) fail(code.message());
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  if (!file) fail(std::strerror(errno));
  std::vector<std::byte> bytes(size);
  file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(size));
  if (static_cast<std::uintmax_t>(file.gcount()) != size) {
    fail(concat("only ", file.gcount(), " of its ", size, " bytes could be read"));
  }
  return bytes;
}

}  // namespace sbp::experiments
