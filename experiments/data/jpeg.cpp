#include "experiments/data/jpeg.h"

#include <csetjmp>
#include <cstdio>  // jpeglib.h needs it
// The order matters: jerror.h reads what jpeglib.h defines.
#include <jerror.h>
#include <jpeglib.h>

#include <array>
#include <string>
#include <vector>

#include "sbp/base/error.h"

namespace sbp::experiments {
namespace {

// Scans of a progressive file cost time without bound; encoders make about ten.
constexpr int kMaximumScans = 200;

// libjpeg leaves by a long jump, which must not pass an object that needs its destructor: each
// method that sets the jump keeps none.
struct ErrorManager {
  jpeg_error_mgr base;
  std::jmp_buf jump;
  char message[JMSG_LENGTH_MAX];
};

[[noreturn]] void leave(j_common_ptr info) {
  auto* manager = reinterpret_cast<ErrorManager*>(info->err);
  info->err->format_message(info, manager->message);
  std::longjmp(manager->jump, 1);
}

// Levels below 0 are warnings of damaged data, after which pixels are made up: errors here, but for
// those that leave the pixels whole.
void judge_message(j_common_ptr info, int level) {
  if (level >= 0) return;
  switch (info->err->msg_code) {
    case JWRN_EXTRANEOUS_DATA:
    case JWRN_ADOBE_XFORM:
    case JWRN_JFIF_MAJOR:
    case JWRN_TOO_MUCH_DATA: return;
    default: leave(info);
  }
}

void watch_scans(j_common_ptr info) {
  if (!info->is_decompressor) return;
  if (reinterpret_cast<j_decompress_ptr>(info)->input_scan_number > kMaximumScans) {
    auto* manager = reinterpret_cast<ErrorManager*>(info->err);
    std::snprintf(manager->message, sizeof manager->message, "it has more than %d scans",
                  kMaximumScans);
    std::longjmp(manager->jump, 1);
  }
}

class JpegReader {
 public:
  explicit JpegReader(std::span<const std::byte> file) : file_(file) {
    info_.err = jpeg_std_error(&errors_.base);
    errors_.base.error_exit = leave;
    errors_.base.emit_message = judge_message;
    errors_.message[0] = '\0';
    progress_.progress_monitor = watch_scans;
    if (!create()) fail();
  }
  ~JpegReader() { jpeg_destroy_decompress(&info_); }
  JpegReader(const JpegReader&) = delete;
  JpegReader& operator=(const JpegReader&) = delete;

  ImageSize read_header() {
    if (file_.empty()) throw Error("it is empty");
    if (!header()) fail();
    const ImageSize size{info_.image_height, info_.image_width};
    if (size.pixels() > kMaximumPixels) {
      throw Error(concat("it claims ", size.width, "x", size.height, " pixels; at most ",
                         kMaximumPixels, " are read"));
    }
    return size;
  }

  void decode(const ImageSize& at_least, Image& image) {
    read_header();
    const bool four = info_.jpeg_color_space == JCS_CMYK || info_.jpeg_color_space == JCS_YCCK;
    info_.out_color_space = four ? JCS_CMYK : JCS_RGB;
    info_.dct_method = JDCT_ISLOW;
    for (const unsigned eighths : {1u, 2u, 4u, 8u}) {
      info_.scale_num = eighths;
      info_.scale_denom = 8;
      if (!measure()) fail();
      if (info_.output_height >= at_least.height && info_.output_width >= at_least.width) break;
    }
    image.reshape(3, {info_.output_height, info_.output_width});
    line_.resize(std::size_t{info_.output_width} * (four ? 4 : 3));
    if (!start()) fail();
    for (std::int64_t y = 0; y < image.size.height; ++y) {
      if (!read_line()) fail();
      const std::array<std::uint8_t*, 3> rows = {image.row(0, y).data(), image.row(1, y).data(),
                                                 image.row(2, y).data()};
      four ? split_cmyk(rows) : split_rgb(rows);
    }
    if (!finish()) fail();
  }

 private:
  [[noreturn]] void fail() const { throw Error(errors_.message); }

  // Each of these is false after an error.
  bool create() {
    if (setjmp(errors_.jump) != 0) return false;
    jpeg_create_decompress(&info_);
    info_.progress = &progress_;
    return true;
  }
  bool header() {
    if (setjmp(errors_.jump) != 0) return false;
    jpeg_mem_src(&info_, reinterpret_cast<const unsigned char*>(file_.data()), file_.size());
    jpeg_read_header(&info_, TRUE);
    return true;
  }
  bool measure() {
    if (setjmp(errors_.jump) != 0) return false;
    jpeg_calc_output_dimensions(&info_);
    return true;
  }
  bool start() {
    if (setjmp(errors_.jump) != 0) return false;
    jpeg_start_decompress(&info_);
    return true;
  }
  bool read_line() {
    if (setjmp(errors_.jump) != 0) return false;
    JSAMPROW line = line_.data();
    return jpeg_read_scanlines(&info_, &line, 1) == 1;
  }
  bool finish() {
    if (setjmp(errors_.jump) != 0) return false;
    jpeg_finish_decompress(&info_);
    return true;
  }

  void split_rgb(const std::array<std::uint8_t*, 3>& rows) const {
    const std::uint8_t* from = line_.data();
    std::uint8_t* const red = rows[0];
    std::uint8_t* const green = rows[1];
    std::uint8_t* const blue = rows[2];
    for (std::size_t x = 0; x < info_.output_width; ++x, from += 3) {
      red[x] = from[0];
      green[x] = from[1];
      blue[x] = from[2];
    }
  }

  // Adobe's files hold what is left white, others what is printed.
  void split_cmyk(const std::array<std::uint8_t*, 3>& rows) const {
    const unsigned inverted = info_.saw_Adobe_marker ? 0 : 255;
    const std::uint8_t* from = line_.data();
    for (std::size_t x = 0; x < info_.output_width; ++x, from += 4) {
      const unsigned white = from[3] ^ inverted;
      for (std::size_t channel = 0; channel < 3; ++channel) {
        rows[channel][x] =
            static_cast<std::uint8_t>(((from[channel] ^ inverted) * white + 127) / 255);
      }
    }
  }

  std::span<const std::byte> file_;
  jpeg_decompress_struct info_{};
  ErrorManager errors_{};
  jpeg_progress_mgr progress_{};
  std::vector<std::uint8_t> line_;
};

}  // namespace

ImageSize jpeg_size(std::span<const std::byte> file) {
  return JpegReader(file).read_header();
}

void decode_jpeg(std::span<const std::byte> file, const ImageSize& at_least, Image& image) {
  JpegReader(file).decode(at_least, image);
}

}  // namespace sbp::experiments
