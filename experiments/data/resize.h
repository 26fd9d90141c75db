// Separable resizing with antialiasing, by the rules of Pillow's `Image.resize` and `Image.crop`.
#pragma once

#include <cstdint>

#include "experiments/data/image.h"

namespace sbp::experiments {

enum class Interpolation : std::uint8_t { bilinear, bicubic };

// A part of an image, in pixels; the sides may lie between pixels.
struct Box {
  double top = 0.0;
  double left = 0.0;
  double height = 0.0;
  double width = 0.0;
};

// What is taken, what it becomes, and which part of that is kept.
struct ResizeWindow {
  Box source;      // pixels outside are never read
  ImageSize full;  // what `source` is resized to
  ImageSize crop;  // what is kept of that
  std::int64_t top = 0;
  std::int64_t left = 0;
};

// The whole image so that it covers `target` / `crop_ratio` (the shorter side fits, the other keeps
// the aspect), and of that the centre of size `target`: timm's and torchvision's evaluation.
ResizeWindow centre_window(const ImageSize& image, const ImageSize& target, double crop_ratio);

// Writes the window into `out`, each channel by itself, rounded to bytes after each direction.
// `source` must overlap the image, sizes must be at least 1.
void resize(const Image& image, const ResizeWindow& window, Interpolation interpolation,
            Image& out);

}  // namespace sbp::experiments
