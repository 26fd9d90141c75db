#include "tests/experiments/sample_files.h"

#include <jpeglib.h>
#include <lzma.h>
#include <zlib.h>

#include <cstdio>  // jpeglib.h needs it
#include <cstdlib>
#include <cstring>
#include <stdexcept>

namespace sbp::tests {

std::string encode_jpeg(const experiments::Image& image, const JpegOptions& options) {
  jpeg_compress_struct info{};
  jpeg_error_mgr errors{};
  info.err = jpeg_std_error(&errors);
  jpeg_create_compress(&info);
  unsigned char* bytes = nullptr;
  unsigned long length = 0;
  jpeg_mem_dest(&info, &bytes, &length);
  info.image_height = static_cast<JDIMENSION>(image.size.height);
  info.image_width = static_cast<JDIMENSION>(image.size.width);
  info.input_components = static_cast<int>(image.channels);
  info.in_color_space = options.cmyk ? JCS_CMYK : image.channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
  jpeg_set_defaults(&info);
  if (options.cmyk) info.write_Adobe_marker = FALSE;
  jpeg_set_quality(&info, options.quality, TRUE);
  if (options.progressive) jpeg_simple_progression(&info);
  jpeg_start_compress(&info, TRUE);
  for (std::int64_t y = 0; y < image.size.height; ++y) {
    std::vector<JSAMPLE> line;
    for (std::int64_t x = 0; x < image.size.width; ++x) {
      for (std::int64_t c = 0; c < image.channels; ++c) {
        line.push_back(image.row(c, y)[static_cast<std::size_t>(x)]);
      }
    }
    JSAMPROW row = line.data();
    jpeg_write_scanlines(&info, &row, 1);
  }
  jpeg_finish_compress(&info);
  std::string file(reinterpret_cast<const char*>(bytes), length);
  jpeg_destroy_compress(&info);
  std::free(bytes);
  return file;
}

experiments::Image flat_image(const experiments::ImageSize& size,
                              const std::vector<std::uint8_t>& levels) {
  experiments::Image image;
  image.reshape(static_cast<std::int64_t>(levels.size()), size);
  for (std::size_t c = 0; c < levels.size(); ++c) {
    for (std::uint8_t& byte : image.plane(static_cast<std::int64_t>(c))) byte = levels[c];
  }
  return image;
}

experiments::Image smooth_image(const experiments::ImageSize& size) {
  experiments::Image image;
  image.reshape(3, size);
  for (std::int64_t y = 0; y < size.height; ++y) {
    for (std::int64_t x = 0; x < size.width; ++x) {
      const auto i = static_cast<std::size_t>(x);
      image.row(0, y)[i] = static_cast<std::uint8_t>(y * 255 / size.height);
      image.row(1, y)[i] = static_cast<std::uint8_t>(x * 255 / size.width);
      image.row(2, y)[i] = static_cast<std::uint8_t>((x + y) * 255 / (size.width + size.height));
    }
  }
  return image;
}

std::string tiny_jpeg(std::uint8_t level) {
  return encode_jpeg(flat_image({8, 8}, {level, level, level}));
}

std::string with_size(std::string jpeg, int height, int width) {
  // SOF0 or SOF2: marker, length (2), precision (1), height (2), width (2).
  for (std::size_t i = 2; i + 9 < jpeg.size(); ++i) {
    const auto code = static_cast<unsigned char>(jpeg[i + 1]);
    if (static_cast<unsigned char>(jpeg[i]) != 0xFF || (code != 0xC0 && code != 0xC2)) continue;
    jpeg[i + 5] = static_cast<char>(height >> 8);
    jpeg[i + 6] = static_cast<char>(height & 255);
    jpeg[i + 7] = static_cast<char>(width >> 8);
    jpeg[i + 8] = static_cast<char>(width & 255);
    return jpeg;
  }
  throw std::runtime_error("no frame header");
}

std::string tar_member(std::string_view name, std::string_view contents, char type,
                       std::int64_t claimed_bytes) {
  std::string block(512, '\0');
  const auto put = [&](std::size_t place, std::string_view text) {
    block.replace(place, text.size(), text);
  };
  const auto octal = [](std::uint64_t value, int digits) {
    char text[32];
    std::snprintf(text, sizeof text, "%0*llo", digits, static_cast<unsigned long long>(value));
    return std::string(text);
  };
  put(0, name.substr(0, 100));
  put(100, "0000644");
  const std::size_t bytes =
      claimed_bytes < 0 ? contents.size() : static_cast<std::size_t>(claimed_bytes);
  put(124, octal(bytes, 11));
  put(136, octal(0, 11));
  put(148, "        ");
  block[156] = type;
  put(257, std::string_view("ustar\00000", 8));
  std::uint64_t sum = 0;
  for (const char byte : block) sum += static_cast<unsigned char>(byte);
  put(148, octal(sum, 6) + std::string("\0 ", 2));
  block += contents;
  block.resize((block.size() + 511) / 512 * 512, '\0');
  return block;
}

std::string tar_of(const std::vector<std::pair<std::string, std::string>>& files) {
  std::string archive;
  for (const auto& [name, contents] : files) archive += tar_member(name, contents);
  return archive + tar_end();
}

std::string compress_xz(std::string_view bytes) {
  std::string out(lzma_stream_buffer_bound(bytes.size()), '\0');
  std::size_t used = 0;
  const lzma_ret code = lzma_easy_buffer_encode(
      6, LZMA_CHECK_CRC64, nullptr, reinterpret_cast<const std::uint8_t*>(bytes.data()),
      bytes.size(), reinterpret_cast<std::uint8_t*>(out.data()), &used, out.size());
  if (code != LZMA_OK) throw std::runtime_error("cannot compress");
  out.resize(used);
  return out;
}

std::string compress_gzip(std::string_view bytes) {
  z_stream stream{};
  if (deflateInit2(&stream, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
    throw std::runtime_error("cannot compress");
  }
  std::string out(deflateBound(&stream, static_cast<uLong>(bytes.size())), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

}  // namespace sbp::tests
